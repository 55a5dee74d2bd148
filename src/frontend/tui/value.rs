//! The state of the value pane: the view, the data, and the crosshair.

use super::asking::Asking;
use super::scales::Scaling;
use crate::answer::ErrorView;
use crate::engine::messages::{Panel, PanelContent, PanelRequest, PanelView};
use crate::model::site_name;

#[derive(Clone, Debug, Default)]
pub struct ValuePane {
    pub view: PanelView,
    pub gradient: bool,
    /// The scale of every map on the screen.
    pub scaling: Scaling,
    pub panel: Option<Result<Panel, ErrorView>>,
    pub row: usize,
    /// The column of the crosshair: a column of a map, a bar of a vector, a line of the largest elements.
    pub column: usize,
    /// The first row and column of the part that is shown without pooling, if only a part is shown.
    pub window: Option<(usize, usize)>,
    pub asking: Asking<PanelRequest>,
}

impl ValuePane {
    pub fn clear(&mut self) {
        self.panel = None;
        self.asking.shown = None;
    }

    /// Takes an answer. In a map the crosshair stays where it is, so that the same place of two maps can be compared;
    /// in other views it goes to the start if the value is different.
    pub fn receive(&mut self, panel: Result<Panel, ErrorView>) {
        let before = self.asking.answered().map(|request| request.op);
        let is_other = before != self.asking.shown.as_ref().map(|request| request.op);
        if is_other && panel.as_ref().is_ok_and(|panel| !matches!(panel.content, PanelContent::Heat { .. })) {
            (self.row, self.column) = (0, 0);
        }
        if is_other {
            self.window = None;
        }
        if let Ok(Panel { content: PanelContent::Heat { map, focus_row, .. }, .. }) = &panel {
            let row = if self.window.is_some() { self.row } else { focus_row.unwrap_or(self.row) };
            self.row = row.min(map.rows.saturating_sub(1));
            self.column = self.column.min(map.columns.saturating_sub(1));
        }
        self.panel = Some(panel);
    }

    pub fn cycle(&mut self) {
        // What the automatic view shows now is not shown again.
        let shown = match (self.view, &self.panel) {
            (PanelView::Auto, Some(Ok(panel))) => match panel.content {
                PanelContent::Heat { .. } => PanelView::Heat,
                PanelContent::Vector { .. } => PanelView::Vector,
                _ => PanelView::Auto,
            },
            (view, _) => view,
        };
        self.view = match shown {
            PanelView::Auto => PanelView::Heat,
            PanelView::Heat => PanelView::Numbers,
            PanelView::Numbers => PanelView::Vector,
            PanelView::Vector => PanelView::Histogram,
            PanelView::Histogram => PanelView::TopK,
            PanelView::TopK | PanelView::Heads => PanelView::Auto,
        };
    }

    /// Shows single values around the crosshair, or the whole map again.
    pub fn look_closer(&mut self, closer: bool) {
        let Some(Ok(Panel { content: PanelContent::Heat { map, .. }, .. })) = &self.panel else { return };
        let Some(element) = self.element() else { return };
        if closer && map.pool != [1, 1] {
            let window = (element.0.saturating_sub(map.rows / 2), element.1.saturating_sub(map.columns / 2));
            self.window = Some(window);
            (self.row, self.column) = (element.0 - window.0, element.1 - window.1);
        } else if !closer {
            self.window = None;
        }
    }

    /// The slice that the pane shows of a site, as an expression has it: `[head=4]`; empty for all of it. Of a map of
    /// positions it is the row of the crosshair.
    pub fn slice(&self, site: &str) -> String {
        let Some(Ok(panel)) = &self.panel else { return String::new() };
        let short = site_name::short(site);
        let Some(rest) = site_name::short(&panel.title).strip_prefix(&short).map(str::to_string) else {
            return String::new();
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let axes = ["head", "pos", "q"];
        let named =
            |pair: &[&str]| axes.contains(&pair[0]) && pair.get(1).is_some_and(|at| at.parse::<usize>().is_ok());
        let mut slices: Vec<String> =
            words.chunks(2).take_while(|pair| named(pair)).map(|pair| format!("{}={}", pair[0], pair[1])).collect();
        if let (true, PanelContent::Heat { map, .. }, Some((row, _))) =
            (slices.is_empty(), &panel.content, self.element())
            && axes.contains(&map.axes[0].as_str())
        {
            slices.push(format!("{}={row}", map.axes[0]));
        }
        if slices.is_empty() { String::new() } else { format!("[{}]", slices.join(", ")) }
    }

    /// The element of the whole map at the crosshair, in a map.
    pub fn element(&self) -> Option<(usize, usize)> {
        let Some(Ok(Panel { content: PanelContent::Heat { map, first, .. }, .. })) = &self.panel else { return None };
        Some((first.0 + self.row * map.pool[0].max(1), first.1 + self.column * map.pool[1].max(1)))
    }

    pub fn shift(&mut self, rows: isize, columns: isize) {
        let (height, width) = match &self.panel {
            Some(Ok(panel)) => extent(&panel.content),
            _ => (1, 1),
        };
        if let Some(Ok(Panel { content: PanelContent::Heat { first, whole, .. }, .. })) = &self.panel
            && (self.window.is_some() || self.view == PanelView::Numbers)
        {
            let to = |at: usize, by: isize, end: usize| at.saturating_add_signed(by).min(end.saturating_sub(1));
            let element = (to(first.0 + self.row, rows, whole.0), to(first.1 + self.column, columns, whole.1));
            // The part that is shown follows the crosshair beyond its edges.
            let follow = |from: usize, at: usize, len: usize| from.min(at).max((at + 1).saturating_sub(len));
            let window = (follow(first.0, element.0, height), follow(first.1, element.1, width));
            self.window = Some(window);
            (self.row, self.column) = (element.0 - window.0, element.1 - window.1);
            return;
        }
        self.row = self.row.saturating_add_signed(rows).min(height.saturating_sub(1));
        self.column = self.column.saturating_add_signed(columns).min(width.saturating_sub(1));
    }

    /// The contents of the pane as text for copying, with every number in full.
    pub fn as_text(&self) -> Option<String> {
        let panel = self.panel.as_ref()?.as_ref().ok()?;
        let mut lines = vec![format!("# {} {}", panel.title, panel.shape)];
        match &panel.content {
            PanelContent::Heads(_) => return None,
            PanelContent::Heat { map, .. } => {
                lines.push(format!("\t{}", map.column_labels.join("\t")));
                for (row, values) in map.data.chunks(map.columns.max(1)).enumerate() {
                    let label = map.row_labels.get(row).map_or("", String::as_str);
                    let values: Vec<String> = values.iter().map(f64::to_string).collect();
                    lines.push(format!("{label}\t{}", values.join("\t")));
                }
            }
            PanelContent::Vector { data, .. } => lines.extend(data.iter().map(f64::to_string)),
            PanelContent::TopK(items) => {
                lines.extend(items.iter().map(|item| format!("{}\t{}\t{}", item.index, item.label, item.value)));
            }
            PanelContent::Scalar(value) => lines.push(value.to_string()),
        }
        Some(lines.join("\n") + "\n")
    }
}

/// The rows and columns that the crosshair can have.
fn extent(content: &PanelContent) -> (usize, usize) {
    match content {
        PanelContent::Heat { map, .. } => (map.rows, map.columns),
        PanelContent::Vector { data, .. } => (1, data.len()),
        PanelContent::TopK(items) => (items.len(), 1),
        PanelContent::Scalar(_) | PanelContent::Heads(_) => (1, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(op: usize) -> PanelRequest {
        PanelRequest { op, cells: (10, 10), view: PanelView::Auto, gradient: false, from: None }
    }

    #[test]
    fn one_request_is_pending_at_a_time() {
        let mut pane = ValuePane::default();
        assert_eq!(pane.asking.request(wanted(1)), Some(wanted(1)));
        assert_eq!(pane.asking.request(wanted(2)), None);
        pane.receive(Err(ErrorView::default()));
        assert_eq!(pane.asking.request(wanted(1)), None, "just answered");
        assert_eq!(pane.asking.request(wanted(2)), Some(wanted(2)));
        pane.asking.invalidate();
        assert_eq!(pane.asking.request(wanted(2)), None, "the pending one comes first");
        pane.receive(Err(ErrorView::default()));
        assert_eq!(pane.asking.request(wanted(2)), Some(wanted(2)), "asked again after the change");
    }
}
