//! The first value that differs, found by halving: what a block makes different, all later ones are given.

use crate::program::Program;

/// The last op of each block, and the last of all, that the other side has a value of. What comes before the blocks has
/// no mark: embeddings of tokens and positions do not depend on each other.
pub fn marks(program: &Program, has: &dyn Fn(usize) -> bool) -> Vec<usize> {
    let mut marks: Vec<usize> = Vec::new();
    let before = program.ops.iter().take_while(|op| op.layer.is_none()).count();
    for (op, this) in program.ops.iter().enumerate().skip(before).filter(|(op, _)| has(*op)) {
        match marks.last_mut() {
            Some(last) if program.ops[*last].layer == this.layer => *last = op,
            _ => marks.push(op),
        }
    }
    marks
}

/// The number of the first mark whose value differs, and how many were looked at; `None` if that of the last one does
/// not.
pub fn first_difference<E>(
    marks: &[usize],
    differs: &mut dyn FnMut(usize) -> Result<bool, E>,
) -> Result<(Option<usize>, usize), E> {
    let (mut low, mut high, mut looked) = (0, marks.len(), 0);
    // All before `low` agree, `high` and all after it differ.
    while low < high {
        // The last one shows whether there is anything to look for.
        let middle = if high == marks.len() && looked == 0 { high - 1 } else { low + (high - low) / 2 };
        looked += 1;
        if differs(marks[middle])? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(((high < marks.len()).then_some(high), looked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_found_and_few_are_looked_at() {
        for count in [1, 2, 3, 12, 80, 100] {
            let marks: Vec<usize> = (0..count).map(|i| i * 3).collect();
            for first in 0..=count {
                let (found, looked) = first_difference(&marks, &mut |op| Ok::<_, ()>(op >= first * 3)).unwrap();
                assert_eq!(found, (first < count).then_some(first));
                assert!(looked <= 2 + (count as f64).log2().ceil() as usize, "{looked} of {count}");
            }
        }
    }
}
