//! Which nodes a program has, and which of them read what others write.

use crate::debugger::{Error, Result};
use crate::program::{Kernel, Part, Program};

/// What writes to the residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    Embed,
    Head { layer: usize, head: usize },
    Mlp { layer: usize },
}

impl Node {
    /// `embed`, `L2H3`, `L2.mlp`.
    pub fn name(self) -> String {
        match self {
            Node::Embed => "embed".into(),
            Node::Head { layer, head } => format!("L{layer}H{head}"),
            Node::Mlp { layer } => format!("L{layer}.mlp"),
        }
    }
}

/// What reads the residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Input {
    /// Queries, keys, values or the gate of a head; of keys and values, the one that heads share.
    Head {
        layer: usize,
        part: Part,
        head: usize,
    },
    Mlp {
        layer: usize,
    },
    Logits,
}

impl Input {
    /// `L2H3.q`, `L2.mlp`, `logits`. Keys and values that several heads share are `L2KV1.k`.
    pub fn name(self, shared: bool) -> String {
        match self {
            Input::Head { layer, part, head } => {
                let (letter, of_group) = match part {
                    Part::Q => ("q", false),
                    Part::K => ("k", true),
                    Part::V => ("v", true),
                    _ => ("gate", false),
                };
                let kind = if shared && of_group { "KV" } else { "H" };
                format!("L{layer}{kind}{head}.{letter}")
            }
            Input::Mlp { layer } => format!("L{layer}.mlp"),
            Input::Logits => "logits".into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    pub from: Node,
    pub to: Input,
}

/// One term of the stream: the embedding, or what a block's attention or MLP writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Writer {
    /// What its nodes give together: the op at which heads are summed, or the op of the single node.
    pub sum: usize,
    /// What is added to the stream: `sum`, scaled or normed.
    pub write: usize,
    /// The ops from `sum` to `write`.
    pub between: Vec<usize>,
    pub nodes: Vec<Node>,
}

/// One kind of input: all heads of an op, or a single node.
#[derive(Clone, Debug, PartialEq)]
pub struct Reader {
    /// What is computed of the input alone: queries of all heads, what an MLP gives, logits.
    pub entry: usize,
    /// The residual stream that is read.
    pub stream: usize,
    /// The ops from `stream` to `entry`.
    pub between: Vec<usize>,
    pub inputs: Vec<Input>,
    /// What the stream is a sum of: writers, each with the factor by which it is multiplied.
    pub terms: Vec<(usize, f64)>,
}

/// The nodes of a program. Writers and readers are in program order.
#[derive(Clone, Debug, PartialEq)]
pub struct Structure {
    pub writers: Vec<Writer>,
    pub readers: Vec<Reader>,
    /// Whether heads share keys and values.
    pub shared: bool,
}

impl Structure {
    /// The structure of a program whose op `entry` has `heads` entries along its axis of heads.
    ///
    /// # Errors
    /// By the name of the site, if the stream is not a sum of what nodes write.
    pub fn of(program: &Program, heads: &dyn Fn(usize) -> usize) -> Result<Structure> {
        let logits = program.op_of("logits").filter(|&op| matches!(program.ops[op].kernel, Kernel::Unembed { .. }));
        let logits = logits.ok_or("edges end at logits, and this model predicts no tokens")?;
        let embed = program.block_op(0, Part::ResidPre).ok_or("the model has no residual stream")?;
        let mut found = Found { program, embed, writers: Vec::new() };
        found.writers.push(Writer { sum: embed, write: embed, between: Vec::new(), nodes: vec![Node::Embed] });
        let (mut readers, mut shared) = (Vec::new(), false);
        for layer in 0..program.n_layers() {
            let mut counts = Vec::new();
            for part in [Part::Q, Part::K, Part::V, Part::Gate] {
                let Some(entry) = program.block_op(layer, part) else { continue };
                counts.push(heads(entry));
                let inputs = (0..heads(entry)).map(|head| Input::Head { layer, part, head }).collect();
                readers.push(found.reader(entry, inputs)?);
            }
            shared |= counts.iter().any(|count| *count != counts[0]);
            if let (Some(sum), Some(write)) =
                (program.block_op(layer, Part::AttnOutput), program.block_op(layer, Part::AttnOut))
            {
                let count = heads(program.ops[sum].inputs[0]);
                let nodes = (0..count).map(|head| Node::Head { layer, head }).collect();
                let between = found.between(sum, write);
                found.writers.push(Writer { sum, write, between, nodes });
            }
            if let Some(write) = program.block_op(layer, Part::MlpOut) {
                readers.push(found.reader(write, vec![Input::Mlp { layer }])?);
                let nodes = vec![Node::Mlp { layer }];
                found.writers.push(Writer { sum: write, write, between: Vec::new(), nodes });
            }
        }
        readers.push(found.reader(logits, vec![Input::Logits])?);
        Ok(Structure { writers: found.writers, readers, shared })
    }

    /// All edges, by reader, then by writer.
    pub fn edges(&self) -> Vec<Edge> {
        let of_reader = |reader: &Reader| -> Vec<Edge> {
            let from = |(writer, _): &(usize, f64)| self.writers[*writer].nodes.iter().copied();
            let to =
                |to: &Input| reader.terms.iter().flat_map(from).map(|from| Edge { from, to: *to }).collect::<Vec<_>>();
            reader.inputs.iter().flat_map(to).collect()
        };
        self.readers.iter().flat_map(of_reader).collect()
    }
}

struct Found<'a> {
    program: &'a Program,
    embed: usize,
    writers: Vec<Writer>,
}

impl Found<'_> {
    fn is_stream(&self, op: usize) -> bool {
        let parts = [Part::ResidPre, Part::ResidMid, Part::ResidCross, Part::ResidMlp, Part::ResidPle, Part::ResidPost];
        op == self.embed || self.program.ops[op].part.is_some_and(|part| parts.contains(&part))
    }

    fn reader(&self, entry: usize, inputs: Vec<Input>) -> Result<Reader> {
        let program = self.program;
        let site = &program.ops[entry].site;
        // The states of the stream that are reached before any other.
        let (mut streams, mut queue, mut seen) = (Vec::new(), program.ops[entry].inputs.clone(), Vec::new());
        while let Some(op) = queue.pop() {
            if self.is_stream(op) {
                streams.push(op);
            } else if !seen.contains(&op) && op > self.embed {
                seen.push(op);
                queue.extend(&program.ops[op].inputs);
            }
        }
        streams.sort_unstable();
        streams.dedup();
        let [stream] = streams[..] else {
            let names: Vec<&str> = streams.iter().map(|op| program.ops[*op].site.as_str()).collect();
            let found = if names.is_empty() { "none".to_string() } else { names.join(" and ") };
            return Err(Error::refused(format!(
                "{site} would have to read one state of the residual stream, and reads {found}"
            )));
        };
        let mut terms = Vec::new();
        self.terms(stream, 1.0, &mut terms)?;
        Ok(Reader { entry, stream, between: self.between(stream, entry), inputs, terms })
    }

    /// What the stream is a sum of.
    fn terms(&self, op: usize, factor: f64, terms: &mut Vec<(usize, f64)>) -> Result<()> {
        if let Some(writer) = self.writers.iter().position(|writer| writer.write == op) {
            match terms.iter_mut().find(|(known, _)| *known == writer) {
                Some((_, sum)) => *sum += factor,
                None => terms.push((writer, factor)),
            }
            return Ok(());
        }
        let of = &self.program.ops[op];
        match of.kernel {
            Kernel::Same => self.terms(of.inputs[0], factor, terms),
            Kernel::Scale { factor: by } => self.terms(of.inputs[0], factor * by, terms),
            Kernel::Add => of.inputs.iter().try_for_each(|&input| self.terms(input, factor, terms)),
            _ => Err(Error::refused(format!(
                "the residual stream of this model is not a sum of what heads and MLPs write: {} is in it",
                of.site
            ))),
        }
    }

    /// The ops after `first` up to `last` that depend on the one and that the other depends on, both by way of the others.
    fn between(&self, first: usize, last: usize) -> Vec<usize> {
        let program = self.program;
        let mut after = vec![false; last + 1];
        after[first] = true;
        for op in first + 1..=last {
            after[op] = program.ops[op].inputs.iter().any(|&input| input <= last && after[input]);
        }
        let mut needed = vec![false; last + 1];
        needed[last] = true;
        for op in (first + 1..=last).rev().filter(|&op| after[op]) {
            if needed[op] {
                program.ops[op].inputs.iter().for_each(|&input| needed[input] = true);
            }
        }
        (first + 1..=last).filter(|&op| after[op] && needed[op]).collect()
    }
}
