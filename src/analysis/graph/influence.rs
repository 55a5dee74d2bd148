//! Influence in an attribution graph: how much of the logits comes through a node, which nodes and edges are kept, and how
//! much of the graph is explained. As circuit-tracer 0.5.0 defines it (`circuit_tracer/graph.py`).

/// What a node is, as far as pruning and scores go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Kept if it has influence, and reads and is read.
    Feature,
    /// What the graph does not explain: kept if it has influence and is read.
    Error,
    /// The same, but not counted against the explanation.
    Bias,
    /// Always kept.
    Token,
    /// Always kept.
    Logit,
}

/// What each node that was attributed takes from others: rows of an adjacency matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The node that each row is about, and what it takes from which nodes.
    pub rows: Vec<(usize, Vec<(usize, f64)>)>,
}

/// Below this, the sizes of a row count as nothing.
const NOTHING: f64 = 1e-10;

impl Rows {
    /// Sizes of entries as shares of their row.
    fn shares(&self) -> Rows {
        let share = |row: &Vec<(usize, f64)>| {
            let sum: f64 = row.iter().map(|(_, value)| value.abs()).sum();
            row.iter().map(|&(node, value)| (node, value.abs() / sum.max(NOTHING))).collect()
        };
        Rows { rows: self.rows.iter().map(|(node, row)| (*node, share(row))).collect() }
    }

    /// `w N + w N^2 + ...` of shares `N` and weights `w` of the logits: for each of `nodes` nodes the part of the logits that
    /// comes through it. Ends, as no node reads itself, however indirectly.
    fn through(&self, nodes: usize, weights: &[(usize, f64)]) -> Vec<f64> {
        let mut now = vec![0.0; nodes];
        weights.iter().for_each(|&(node, weight)| now[node] += weight);
        let mut sum = vec![0.0; nodes];
        loop {
            let mut next = vec![0.0; nodes];
            for (node, row) in self.rows.iter().filter(|(node, _)| now[*node] != 0.0) {
                row.iter().for_each(|&(from, share)| next[from] += now[*node] * share);
            }
            if next.iter().all(|x| *x == 0.0) {
                return sum;
            }
            sum.iter_mut().zip(&next).for_each(|(sum, x)| *sum += x);
            now = next;
        }
    }

    /// The influence of each node on the logits, whose weights are their probabilities.
    pub fn influence(&self, nodes: usize, logits: &[(usize, f64)]) -> Vec<f64> {
        self.shares().through(nodes, logits)
    }
}

/// The score from which on the largest scores make this share of all: those of at least it are kept.
fn threshold(scores: impl Iterator<Item = f64>, share: f64) -> f64 {
    let mut scores: Vec<f64> = scores.collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    let all: f64 = scores.iter().sum();
    let mut sum = 0.0;
    for score in &scores {
        sum += score;
        if sum / all >= share {
            return *score;
        }
    }
    scores.last().copied().unwrap_or_default()
}

/// What pruning leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    pub nodes: Vec<bool>,
    /// For each row of the matrix, whether each of its entries is kept.
    pub edges: Vec<Vec<bool>>,
}

/// Keeps the nodes with the largest influence that make `share.0` of all influence, tokens and logits; of the edges between
/// them those that make `share.1` of all; and drops what then reads nothing or is not read.
pub fn prune(matrix: &Rows, ranks: &[Rank], logits: &[(usize, f64)], share: (f64, f64)) -> Pruned {
    let influence = matrix.influence(ranks.len(), logits);
    let least = threshold(influence.iter().copied(), share.0);
    let always = |node: usize| matches!(ranks[node], Rank::Token | Rank::Logit);
    let mut nodes: Vec<bool> = (0..ranks.len()).map(|node| always(node) || influence[node] >= least).collect();
    let kept = |row: &Vec<(usize, f64)>| row.iter().copied().filter(|(from, _)| nodes[*from]).collect();
    let rows = matrix.rows.iter().filter(|(node, _)| nodes[*node]).map(|(node, row)| (*node, kept(row)));
    let shares = Rows { rows: rows.collect() }.shares();
    let mut through = shares.through(ranks.len(), logits);
    logits.iter().for_each(|&(node, weight)| through[node] += weight);
    let score = |(node, row): &(usize, Vec<(usize, f64)>)| -> Vec<(usize, f64)> {
        row.iter().map(|&(from, share)| (from, share * through[*node])).collect()
    };
    let scores: Vec<(usize, Vec<(usize, f64)>)> = shares.rows.iter().map(|row| (row.0, score(row))).collect();
    let least = threshold(scores.iter().flat_map(|(_, row)| row.iter().map(|(_, score)| *score)), share.1);
    let mut edges: Vec<(usize, usize)> = Vec::new();
    for (node, row) in &scores {
        edges.extend(row.iter().filter(|(_, score)| *score >= least).map(|(from, _)| (*node, *from)));
    }
    loop {
        let (mut reads, mut is_read) = (vec![false; ranks.len()], vec![false; ranks.len()]);
        for &(node, from) in &edges {
            (reads[node], is_read[from]) = (true, true);
        }
        let stays =
            |node: usize| always(node) || nodes[node] && is_read[node] && (reads[node] || ranks[node] != Rank::Feature);
        let next: Vec<bool> = (0..ranks.len()).map(stays).collect();
        edges.retain(|(node, from)| next[*node] && next[*from]);
        if next == nodes {
            break;
        }
        nodes = next;
    }
    let edges: std::collections::HashSet<(usize, usize)> = edges.into_iter().collect();
    let edges =
        matrix.rows.iter().map(|(node, row)| row.iter().map(|(from, _)| edges.contains(&(*node, *from))).collect());
    Pruned { nodes, edges: edges.collect() }
}

/// How much of a graph is explained, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// The part of the influence of tokens and errors that is that of tokens.
    pub replacement: f64,
    /// The part of what nodes read that is not of errors, each node weighted by its influence.
    pub completeness: f64,
}

pub fn scores(matrix: &Rows, ranks: &[Rank], logits: &[(usize, f64)]) -> Scores {
    let shares = matrix.shares();
    let mut through = shares.through(ranks.len(), logits);
    let of =
        |rank: Rank| -> f64 { (0..ranks.len()).filter(|&node| ranks[node] == rank).map(|node| through[node]).sum() };
    let (tokens, errors) = (of(Rank::Token), of(Rank::Error));
    logits.iter().for_each(|&(node, weight)| through[node] += weight);
    let all: f64 = through.iter().sum();
    let error = |row: &Vec<(usize, f64)>| -> f64 {
        row.iter().filter(|(from, _)| ranks[*from] == Rank::Error).map(|(_, share)| share).sum()
    };
    let lost: f64 = shares.rows.iter().map(|(node, row)| error(row) * through[*node]).sum();
    Scores { replacement: tokens / (tokens + errors), completeness: 1.0 - lost / all }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random graphs, with what circuit-tracer computes of them: `tools/fixtures/graph.py`.
    #[test]
    fn influence_pruning_and_scores_are_those_of_circuit_tracer() {
        let text = include_str!("../../../tests/fixtures/graphs/influence.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        assert!(cases.len() >= 3);
        for case in &cases {
            let numbers =
                |key: &str| -> Vec<f64> { case[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect() };
            let counts: Vec<usize> = numbers("counts").iter().map(|x| *x as usize).collect();
            let rank = [Rank::Feature, Rank::Error, Rank::Token, Rank::Logit];
            let ranks: Vec<Rank> = counts.iter().zip(rank).flat_map(|(n, rank)| vec![rank; *n]).collect();
            let nodes = ranks.len();
            let adjacency = numbers("adjacency");
            let row = |node: usize| -> Vec<(usize, f64)> {
                let row = adjacency[node * nodes..(node + 1) * nodes].iter().copied().enumerate();
                row.filter(|(_, x)| *x != 0.0).collect()
            };
            let rows = (0..nodes).filter(|&node| matches!(ranks[node], Rank::Feature | Rank::Logit));
            let matrix = Rows { rows: rows.map(|node| (node, row(node))).collect() };
            let logits: Vec<(usize, f64)> = (nodes - counts[3]..nodes).zip(numbers("probabilities")).collect();
            // The package computes in 32 bits.
            for (ours, theirs) in matrix.influence(nodes, &logits).iter().zip(numbers("influence")) {
                assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
            }
            let found = scores(&matrix, &ranks, &logits);
            assert!((found.replacement - case["replacement"].as_f64().unwrap()).abs() < 1e-5, "{found:?}");
            assert!((found.completeness - case["completeness"].as_f64().unwrap()).abs() < 1e-5, "{found:?}");
            let pruned = prune(&matrix, &ranks, &logits, (0.8, 0.98));
            let kept: Vec<bool> = numbers("nodes").iter().map(|x| *x == 1.0).collect();
            assert_eq!(pruned.nodes, kept);
            let mut edges = vec![0.0; nodes * nodes];
            for ((node, row), kept) in matrix.rows.iter().zip(&pruned.edges) {
                for ((from, _), kept) in row.iter().zip(kept) {
                    edges[node * nodes + from] = f64::from(u8::from(*kept));
                }
            }
            assert_eq!(edges, numbers("edges"));
        }
    }
}
