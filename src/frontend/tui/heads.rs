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
    pub panel: Option<Result<Panel, ErrorView>>,
    pub asking: Asking<PanelRequest>,
}

impl HeadsPane {
    pub fn receive(&mut self, panel: Result<Panel, ErrorView>) {
        self.asking.answered();
        self.panel = Some(panel);
    }

    pub fn clear(&mut self) {
        self.panel = None;
        self.asking.shown = None;
    }

    /// Changes to the next view: patterns, then each score.
    pub fn cycle(&mut self) {
        self.metric = Some(self.metric.map_or(0, |at| at + 1)).filter(|at| *at < METRICS.len());
    }

    pub fn command(&self) -> Option<String> {
        self.metric.map(|at| format!("heads -grid {}", METRICS[at]))
    }
}
