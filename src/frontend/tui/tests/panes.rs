//! What panes show: bars that mean chances, names that are not used twice, and help that is not cut.

use super::*;
use crate::answer::view::{Panel, PanelContent, TopItem};
use crate::frontend::tui::keymap::Keymap;
use crate::frontend::tui::view::help;

/// The number of full blocks in the row of this label.
fn bar(session: &Session, label: &str) -> usize {
    let lines = session.lines();
    let line = lines.iter().find(|line| line.contains(label)).expect(label);
    line.chars().filter(|c| *c == '█').count()
}

#[test]
fn f21_the_bars_of_logits_are_those_of_their_probabilities() {
    let mut session = Session::new(ColorDepth::Indexed, (120, 40));
    session.stop_at("logits");
    let logits = |values: [f64; 2]| {
        let sum: f64 = values.iter().map(|value| value.exp()).sum();
        let item = |(index, label): (usize, &str)| TopItem {
            index,
            label: label.to_string(),
            value: values[index],
            chance: Some(values[index].exp() / sum),
        };
        PanelContent::TopK([(1, "POSITIVE"), (0, "NEGATIVE")].map(item).into())
    };
    let Some(Ok(panel)) = session.state.value.panel.clone() else { panic!("no value is shown") };
    // The classifier of the report: the smaller logit has the larger magnitude.
    session.state.value.panel = Some(Ok(Panel { content: logits([-3.92, 3.75]), ..panel }));
    assert!(bar(&session, "POSITIVE") > 20, "{:#?}", session.lines());
    assert_eq!(bar(&session, "NEGATIVE"), 0);
}

#[test]
fn f38_no_two_panes_have_the_same_title() {
    for size in [(80, 24), (120, 40), (200, 60)] {
        let mut session = Session::new(ColorDepth::Indexed, size);
        session.stop_at("tokens");
        let lines = session.lines();
        assert!(lines[1].contains("value of tokens") && !lines[1].contains("─ tokens "), "{size:?}: {lines:#?}");
    }
}

#[test]
fn f38_help_is_not_cut_at_120_columns_and_end_goes_to_its_end() {
    let mut session = Session::new(ColorDepth::Indexed, (120, 40));
    session.keys("? End");
    let shown = session.lines().join("\n");
    let rows = help::rows(&Keymap::new(None).0, session.state.glyphs);
    let (_, last) = rows.last().expect("rows");
    assert!(shown.contains(last.as_str()), "{shown}");
    for (_, help) in &rows {
        assert!(help.len() <= 78, "{help}");
    }
}
