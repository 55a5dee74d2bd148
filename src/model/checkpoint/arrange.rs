//! What a converter did to a tensor, so that it can be undone while the tensor is read.
//!
//! llama.cpp stores the rows of some matrices in another order, and the gains of some norms with 1 added. Rows are
//! contiguous and hold whole blocks, so another order of rows is another place to read from, at no cost.

/// How a stored tensor becomes the one that its name promises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrange {
    pub rows: RowOrder,
    /// What is added to every element.
    pub shift: f32,
    /// Whether an element is the logarithm of what is stored, which has the other sign: a rate of decay.
    pub log: bool,
}

/// Where the rows of a tensor are in the file. A vector has rows of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    Same,
    /// In each of `heads` heads of 2n rows, rows `j` and `n + j`, which rotate together, are side by side.
    Pairs {
        heads: usize,
    },
    /// All queries, all keys, all values, where the name promises groups: the queries that share a key, the key, the
    /// value.
    /// There are as many `kv_heads` as `heads` where nothing is shared.
    Grouped {
        heads: usize,
        kv_heads: usize,
    },
    /// The first rows are missing, and are zeros.
    After {
        missing: usize,
    },
}

impl Arrange {
    pub const SAME: Arrange = Arrange { rows: RowOrder::Same, shift: 0.0, log: false };

    pub fn rows(rows: RowOrder) -> Self {
        Arrange { rows, ..Arrange::SAME }
    }

    /// Whether elements are what is stored.
    pub fn keeps_values(self) -> bool {
        self.shift == 0.0 && !self.log
    }
}

impl RowOrder {
    /// Whether `rows` rows can be in this order.
    pub fn fits(self, rows: usize) -> bool {
        match self {
            RowOrder::Same => true,
            RowOrder::Pairs { heads } => heads > 0 && rows.is_multiple_of(heads) && (rows / heads).is_multiple_of(2),
            RowOrder::Grouped { heads, kv_heads } => {
                let parts = kv_heads.checked_mul(2).and_then(|pair| pair.checked_add(heads));
                kv_heads > 0
                    && heads.is_multiple_of(kv_heads)
                    && parts.is_some_and(|parts| parts > 0 && rows.is_multiple_of(parts))
            }
            RowOrder::After { missing } => missing <= rows,
        }
    }

    /// The stored row that becomes row `row` of `rows`; `None` for a row of zeros.
    pub fn stored(self, row: usize, rows: usize) -> Option<usize> {
        match self {
            RowOrder::Same => Some(row),
            RowOrder::Pairs { heads } => {
                let width = rows / heads;
                let (head, inside) = (row / width, row % width);
                let (part, pair) = (inside / (width / 2), inside % (width / 2));
                Some(head * width + 2 * pair + part)
            }
            RowOrder::Grouped { heads, kv_heads } => {
                let width = rows / (heads + 2 * kv_heads);
                let share = heads / kv_heads;
                let (unit, inside) = (row / width, row % width);
                let (group, member) = (unit / (share + 2), unit % (share + 2));
                let stored = match member.checked_sub(share) {
                    None => group * share + member,
                    Some(0) => heads + group,
                    Some(_) => heads + kv_heads + group,
                };
                Some(stored * width + inside)
            }
            RowOrder::After { missing } => row.checked_sub(missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(rows: RowOrder, count: usize) -> Vec<Option<usize>> {
        assert!(rows.fits(count));
        (0..count).map(|row| rows.stored(row, count)).collect()
    }

    #[test]
    fn rotation_pairs_are_taken_apart() {
        let expected = [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11].map(Some);
        assert_eq!(order(RowOrder::Pairs { heads: 2 }, 12), expected);
    }

    #[test]
    fn queries_keys_and_values_are_put_together() {
        // Two heads of two rows: q0 q1 k0 k1 v0 v1 are stored, q0 k0 v0 q1 k1 v1 is promised.
        let expected = [0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11].map(Some);
        assert_eq!(order(RowOrder::Grouped { heads: 2, kv_heads: 2 }, 12), expected);
        // Four queries, two keys and values, one row each: q0 q1 k0 v0 q2 q3 k1 v1 is promised.
        let expected = [0, 1, 4, 6, 2, 3, 5, 7].map(Some);
        assert_eq!(order(RowOrder::Grouped { heads: 4, kv_heads: 2 }, 8), expected);
        let same: Vec<Option<usize>> = (0..10).map(Some).collect();
        assert_eq!(order(RowOrder::Grouped { heads: 3, kv_heads: 1 }, 10), same);
    }

    #[test]
    fn missing_rows_are_zeros() {
        assert_eq!(order(RowOrder::After { missing: 2 }, 4), [None, None, Some(0), Some(1)]);
    }

    #[test]
    fn rows_that_cannot_be_split_do_not_fit() {
        assert!(!RowOrder::Pairs { heads: 5 }.fits(12) && !RowOrder::Pairs { heads: 4 }.fits(12));
        assert!(!RowOrder::Pairs { heads: 0 }.fits(12));
        assert!(!RowOrder::Grouped { heads: 3, kv_heads: 2 }.fits(14));
        assert!(!RowOrder::Grouped { heads: 2, kv_heads: 2 }.fits(13));
        assert!(!RowOrder::Grouped { heads: usize::MAX - 1, kv_heads: 2 }.fits(13));
    }
}
