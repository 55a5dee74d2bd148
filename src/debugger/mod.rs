//! A run under control: cursor, stop conditions, recording, time travel, branches and edits.
//!
//! The one idea: a run is its model, its input and its edits; everything else follows. Each op is a pure function, so a
//! value is either recorded or computed again with the same bits, and going back in time is moving the cursor.

mod branch;
mod cache;
mod edit;
mod edit_file;
mod error;
mod focus;
mod gradient;
mod mark;
mod names;
pub mod params;
mod pass;
pub mod peers;
mod run;
mod sampling;
mod scope;
mod session;
mod stops;
mod trail;
mod travel;

pub use branch::{Branch, RecordStatus};
pub use edit::{Ablation, Change, Edit, Target};
pub use edit_file::EditFile;
pub use error::{Error, Result};
pub use focus::Focus;
pub use gradient::{Gradients, Walk, number_of, ops_of};
pub use mark::Mark;
pub use names::Names;
pub use pass::Chosen;
pub use run::{Applied, Checkpoint, Run, RunError};
pub use sampling::Sampling;
pub use scope::RunScope;
pub use session::{Session, Settings};
pub use stops::{
    Catch, Condition, Crossing, Disposition, HitCondition, Keep, Kind, Print, StopPoint, StopPoints, Tally, Trace,
    Watch, is_stream,
};
pub use trail::Trail;
pub use travel::{Direction, Finding, Motion, Reason, Stop};
