//! A run under control: cursor, stop conditions, recording, time travel, branches and edits.
//!
//! The one idea: a run is its model, its input and its edits; everything else follows. Each op is a pure function, so a
//! value is either recorded or computed again with the same bits, and going back in time is moving the cursor.

mod branch;
mod cache;
mod dictionaries;
pub mod directions;
mod edit;
mod edit_file;
mod error;
mod focus;
mod gradient;
mod in_force;
mod mark;
mod names;
pub mod params;
mod pass;
mod prompt_pass;
mod renumber;
mod run;
mod sampling;
mod scope;
mod session;
pub mod sides;
mod stops;
mod trail;
mod travel;

pub use branch::{Branch, RecordStatus};
pub use dictionaries::Dictionaries;
pub use edit::{Ablation, Change, Edit, Target};
pub use edit_file::EditFile;
pub use error::{Error, Result};
pub use focus::Focus;
pub use gradient::{Gradients, Share, Walk, number_of, ops_of};
pub use in_force::{edited, in_force, in_force_on_any_text};
pub use mark::Mark;
pub use names::Names;
pub use pass::Chosen;
pub use prompt_pass::{PromptPass, row_of};
pub use run::{Applied, Checkpoint, Run, RunError};
pub use sampling::Sampling;
pub use scope::RunScope;
pub use session::{Session, Settings};
pub use stops::{
    Catch, Condition, Crossing, Disposition, HitCondition, Keep, Kind, Print, StopPoint, StopPoints, Tally, Trace,
    Watch,
};
pub use trail::Trail;
pub use travel::{Direction, Finding, Motion, Reason, Stop};
