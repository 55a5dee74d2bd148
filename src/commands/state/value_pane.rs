//! Data for the value pane: the slice of a value that the focus looks at.

use crate::analysis::attention;
use crate::answer::numbers::short;
use crate::answer::view::{Panel, PanelContent, PanelRequest, PanelView, TopItem};
use crate::answer::{ErrorView, Scale};
use crate::commands::state::{Console, by, histogram};
use crate::debugger::{Error, Result};
use crate::model::site_name;
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Value};

const TOP: usize = 40;

/// Bins of a histogram at most.
const BINS: usize = 32;

/// Weights of attention whose heads are scored each time that they are shown.
const SCORED: usize = 1 << 20;

impl Console {
    /// Answers the value pane. Nothing changes.
    pub fn panel(&mut self, request: &PanelRequest) -> Result<Panel, ErrorView> {
        self.panel_of(request).map_err(|fail| ErrorView::new(&fail, ""))
    }

    fn panel_of(&mut self, request: &PanelRequest) -> Result<Panel> {
        let program = self.session.run.program.clone();
        let op = program.ops.get(request.op).ok_or("no such op")?;
        let focus = self.session.focus;
        let value = match request.gradient {
            true => self.session.gradient(request.op)?,
            false => self.session.run.value(request.op)?,
        };
        // What is looked at several times is read once.
        let value = value.near()?.slice(&[Slice::At(focus.row)])?;
        let site = site_name::short(&op.site);
        let site = if request.gradient { format!("grad {site}") } else { site };
        let pos = self.session.focus_pos();
        let view = match request.view {
            PanelView::Auto => natural(&value),
            view => view,
        };
        if view == PanelView::Heads {
            return self.every_head(request, &value, &site, pos);
        }
        let (slice, mut title) = match view {
            PanelView::Heat | PanelView::Numbers | PanelView::Histogram => self.plane(&value, &site)?,
            _ => self.line(&value, &site, pos)?,
        };
        let content = match view {
            _ if slice.shape().is_empty() => PanelContent::Scalar(slice.read_scalar()?),
            PanelView::Heat | PanelView::Numbers => {
                let part = request.from.map(|from| (from, request.cells));
                let mut content = self.heat(&title, &value, &slice, op.site.as_str(), request.cells, part, pos)?;
                if let (PanelContent::Heat { map, .. }, true) = (&mut content, request.gradient) {
                    map.scale = Scale::Diverging;
                }
                content
            }
            PanelView::Histogram => {
                let (low, high, counts) = histogram::spread(&slice.read_f64()?, request.cells.1.clamp(1, BINS));
                title = format!("{title}  {} to {} in {} bins", short(low), short(high), counts.len());
                let data = counts.into_iter().map(|count| count as f64).collect();
                PanelContent::Vector { axis: "bin".into(), data, pool: 1 }
            }
            PanelView::TopK => {
                let axis = slice.axes().last().copied().unwrap_or_default();
                let top = slice.topk(TOP.min(request.cells.0.max(1)))?;
                let chances = if op.site == "logits" { slice.softmax(0)?.read_f64()? } else { Vec::new() };
                let entry = |(&index, &value): (&usize, &f64)| {
                    let chance = chances.get(index).copied();
                    TopItem { index, label: self.name_of(axis, index), value, chance }
                };
                PanelContent::TopK(top.indices.iter().zip(&top.values).map(entry).collect())
            }
            _ => {
                let data = slice.read_f64()?;
                let pool = data.len().div_ceil(request.cells.1.max(1)).max(1);
                let largest = |part: &[f64]| {
                    part.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() || b.is_nan() { b } else { a })
                };
                let axis = slice.axes().last().copied().unwrap_or_default().to_string();
                PanelContent::Vector { axis, data: data.chunks(pool).map(largest).collect(), pool }
            }
        };
        Ok(Panel { op: request.op, title, shape: by(value.shape()), summary: value.summary()?, content })
    }

    /// All heads of a value `[H, Q, K]`.
    fn every_head(&self, request: &PanelRequest, value: &Value, site: &str, pos: usize) -> Result<Panel> {
        if value.shape().len() != 3 || value.axes()[0] != Axis::Head {
            return Err(Error::refused(format!("{site} is not a map for each head")));
        }
        let program = &self.session.run.program;
        let mut maps = Vec::new();
        let name = program.ops[request.op].site.as_str();
        for head in 0..value.shape()[0] {
            let plane = value.slice(&[Slice::At(head)])?;
            let kind = match name.ends_with("attn.pattern") && value.count() <= SCORED {
                true => attention::kind_in(&self.session, name, &plane)?,
                false => None,
            };
            let title = kind.map_or_else(|| format!("head {head}"), |kind| format!("head {head} {kind}"));
            if let PanelContent::Heat { map, masked, .. } =
                self.heat(&title, value, &plane, name, request.cells, None, pos)?
            {
                maps.push((map, masked));
            }
        }
        let (title, content) = (site.to_string(), PanelContent::Heads(maps));
        Ok(Panel { op: request.op, title, shape: by(value.shape()), summary: value.summary()?, content })
    }

    /// A map of a plane, pooled to `cells`, or a `part` of it: its first row and column, and how many there are at most.
    #[allow(clippy::too_many_arguments, reason = "all of them say what is to be seen")]
    fn heat(
        &self,
        title: &str,
        whole: &Value,
        plane: &Value,
        site: &str,
        cells: (usize, usize),
        part: Option<((usize, usize), (usize, usize))>,
        pos: usize,
    ) -> Result<PanelContent> {
        let full = match plane.shape() {
            [rows, columns] => (*rows, *columns),
            shape => (1, shape.iter().product()),
        };
        let (first, shown) = match part.filter(|_| plane.shape().len() == 2) {
            Some((from, size)) => {
                let first = (from.0.min(full.0 - 1), from.1.min(full.1 - 1));
                let slice =
                    |start: usize, len: usize, end: usize| Slice::Range { start, end: (start + len).min(end), step: 1 };
                (first, plane.slice(&[slice(first.0, size.0, full.0), slice(first.1, size.1, full.1)])?)
            }
            None => ((0, 0), plane.clone()),
        };
        let mut map = self.map(title.to_string(), &shown, cells)?;
        let of_text = whole.axes().contains(&Axis::K);
        let attention = of_text && (site.ends_with(".attn.scores") || site.ends_with(".attn.pattern"));
        if (of_text || whole.axes().contains(&Axis::SourceK)) && site.ends_with("pattern") {
            map.scale = Scale::Sequential;
        }
        let start = self.session.run.branch().span(self.session.run.pass).start;
        let mut masked = vec![false; map.data.len()];
        if attention {
            let causal = self.session.run.model.spec.attention.causal;
            let branch = self.session.run.branch();
            let end = branch.span(self.session.run.pass).end;
            let real = &branch.text().rows[self.session.focus.row].mask[..end];
            for r in 0..map.rows {
                // A pooled cell is masked if the mask covers all that it stands for.
                let last_q = (start + first.0 + (r + 1) * map.pool[0]).min(real.len()) - 1;
                for c in 0..map.columns {
                    let from = first.1 + c * map.pool[1];
                    let keys = from..(from + map.pool[1]).min(real.len());
                    masked[r * map.columns + c] = keys.clone().all(|k| (causal && k > last_q) || !real[k]);
                }
            }
        }
        let rows_are_positions = plane.axes().first().is_some_and(|axis| axis.is_position() && !axis.is_source());
        let focus = pos.checked_sub(start + first.0).filter(|_| rows_are_positions).map(|row| row / map.pool[0]);
        let focus_row = focus.filter(|row| *row < map.rows);
        Ok(PanelContent::Heat { map, masked, focus_row, first, whole: full })
    }

    /// The two-dimensional slice at the focus, and its title.
    fn plane(&self, value: &Value, site: &str) -> Result<(Value, String)> {
        let axis = value.axes().iter().position(|axis| *axis == Axis::Head);
        let Some(axis) = axis.filter(|_| value.shape().len() >= 3) else {
            return Ok((value.clone(), site.to_string()));
        };
        let head = self.session.focus.head.min(value.shape()[axis] - 1);
        let mut slices = vec![Slice::All; axis];
        slices.push(Slice::At(head));
        Ok((value.slice(&slices)?, format!("{site} head {head}")))
    }

    /// The vector at the focused position (and head), and its title.
    fn line(&self, value: &Value, site: &str, pos: usize) -> Result<(Value, String)> {
        let (mut slices, mut title) = (Vec::new(), site.to_string());
        let rank = value.shape().len();
        for (i, axis) in value.axes().iter().enumerate().take(rank.saturating_sub(1)) {
            let len = value.shape()[i];
            slices.push(match axis {
                Axis::Head => {
                    let head = self.session.focus.head.min(len - 1);
                    title.push_str(&format!(" head {head}"));
                    Slice::At(head)
                }
                Axis::Pos | Axis::Q => {
                    let pos = pos.min(len - 1);
                    title.push_str(&format!(" {axis} {pos}"));
                    Slice::At(pos)
                }
                axis if axis.is_source() => {
                    title.push_str(&format!(" {axis} 0 of the source"));
                    Slice::At(0)
                }
                _ => Slice::At(0),
            });
        }
        let line = value.slice(&slices)?;
        let single = line.shape() == [1];
        Ok((if single { line.reshape(&[])? } else { line }, title))
    }
}

fn natural(value: &Value) -> PanelView {
    match (value.shape().len(), value.axes().last()) {
        (_, Some(Axis::Vocab | Axis::Label)) => PanelView::TopK,
        (0 | 1, _) => PanelView::Vector,
        _ => PanelView::Heat,
    }
}
