//! The state of the heads pane: the patterns of all heads of a layer as small maps, or one score for every head of
//! every layer.

use super::asking::Asking;
use super::query::QueryPane;
use crate::answer::ErrorView;
use crate::commands::HEAD_SCORES as METRICS;
use crate::engine::messages::{Panel, PanelRequest};

#[derive(Clone, Debug, Default)]
pub struct HeadsPane {
    /// The score of the grid; `None` shows patterns.
    pub metric: Option<usize>,
    pub grid: QueryPane,
    /// The last patterns.
    pub panel: Option<Result<Panel, ErrorView>>,
    asking: Asking<PanelRequest>,
}

impl HeadsPane {
    /// Notes that values may have changed.
    pub fn invalidate(&mut self) {
        self.asking.invalidate();
        self.grid.invalidate();
    }

    /// The request to send so that `wanted` comes to be shown, if any.
    pub fn request(&mut self, wanted: PanelRequest) -> Option<PanelRequest> {
        self.asking.request(wanted)
    }

    pub fn receive(&mut self, panel: Result<Panel, ErrorView>) {
        self.asking.answered();
        self.panel = Some(panel);
    }

    /// Shows nothing.
    pub fn clear(&mut self) {
        self.panel = None;
        self.asking.shown = None;
    }

    /// Changes to the next view: patterns, then each score.
    pub fn cycle(&mut self) {
        self.metric = match self.metric {
            None => Some(0),
            Some(at) if at + 1 < METRICS.len() => Some(at + 1),
            Some(_) => None,
        };
    }

    /// The command of the grid.
    pub fn command(&self) -> Option<String> {
        self.metric.map(|at| format!("heads -grid {}", METRICS[at]))
    }
}
