//! Numbers, histograms and texts to an event file, which TensorBoard shows.
//!
//! TensorBoard reads every file in its folder whose name contains `tfevents`. Such a file is a sequence of
//! records, each with its length and two checksums, and each record is one `Event` of TensorBoard's protocol buffers.

/// The content of an event file, to which events are appended.
pub struct Events {
    /// Seconds since 1970, the same in every event.
    wall_time: f64,
    file: Vec<u8>,
}

impl Events {
    /// A file without values. `wall_time` is the time of every event, in seconds since 1970.
    pub fn new(wall_time: f64) -> Events {
        let mut events = Events { wall_time, file: Vec::new() };
        let version = Message::default().double(EVENT_WALL_TIME, wall_time).bytes(EVENT_FILE_VERSION, b"brain.Event:2");
        events.record(&version.0);
        events
    }

    /// Appends a number. The file holds it in single precision.
    pub fn scalar(&mut self, tag: &str, step: i64, value: f64) {
        self.value(tag, step, Message::default().float(VALUE_SIMPLE, value as f32));
    }

    /// Appends the distribution of the finite elements of `data`, in the buckets of TensorBoard's own writers: each
    /// limit is 1.1 times the one before, from 1e-12, on both sides of zero. Infinities and NaN are left out.
    ///
    /// The limits continue beyond the 1e20 of those writers to the largest `f32`, so that every finite element is
    /// counted.
    pub fn histogram(&mut self, tag: &str, step: i64, data: &[f32]) {
        let finite = || data.iter().filter(|x| x.is_finite()).map(|x| f64::from(*x));
        let (limits, counts) = buckets(finite());
        let number = finite().count() as f64;
        let (min, max) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), x| (min.min(x), max.max(x)));
        let mut histogram = Message::default();
        if number > 0.0 {
            histogram = histogram.double(HISTOGRAM_MIN, min).double(HISTOGRAM_MAX, max);
        }
        // An empty sum of `f64` is -0.0.
        let (sum, squares) = (finite().sum::<f64>() + 0.0, finite().map(|x| x * x).sum::<f64>() + 0.0);
        let histogram = histogram
            .double(HISTOGRAM_NUM, number)
            .double(HISTOGRAM_SUM, sum)
            .double(HISTOGRAM_SUM_SQUARES, squares)
            .doubles(HISTOGRAM_LIMIT, &limits)
            .doubles(HISTOGRAM_BUCKET, &counts);
        self.value(tag, step, Message::default().bytes(VALUE_HISTOGRAM, &histogram.0));
    }

    /// Appends a text, which TensorBoard shows as Markdown.
    pub fn text(&mut self, tag: &str, step: i64, text: &str) {
        let plugin = Message::default().bytes(PLUGIN_NAME, b"text");
        let metadata = Message::default().bytes(METADATA_PLUGIN, &plugin.0).whole(METADATA_CLASS, CLASS_TENSOR);
        // A tensor of no axes.
        let tensor = Message::default().whole(TENSOR_TYPE, TYPE_STRING).bytes(TENSOR_SHAPE, b"");
        let tensor = tensor.bytes(TENSOR_STRING, text.as_bytes());
        let message = Message::default().bytes(VALUE_TENSOR, &tensor.0).bytes(VALUE_METADATA, &metadata.0);
        self.value(tag, step, message);
    }

    /// The file up to now. It is complete after each event.
    pub fn bytes(&self) -> &[u8] {
        &self.file
    }

    /// Appends an event with one value, whose fields other than the tag are in `content`.
    fn value(&mut self, tag: &str, step: i64, content: Message) {
        let mut value = Message::default().bytes(VALUE_TAG, tag.as_bytes());
        value.0.extend(content.0);
        let summary = Message::default().bytes(SUMMARY_VALUE, &value.0);
        let event = Message::default().double(EVENT_WALL_TIME, self.wall_time).whole(EVENT_STEP, step);
        self.record(&event.bytes(EVENT_SUMMARY, &summary.0).0);
    }

    fn record(&mut self, content: &[u8]) {
        let length = (content.len() as u64).to_le_bytes();
        self.file.extend(length);
        self.file.extend(masked(crc32c(&length)).to_le_bytes());
        self.file.extend(content);
        self.file.extend(masked(crc32c(content)).to_le_bytes());
    }
}

/// Upper limits and counts of the buckets that are not empty and of those between them, as `make_histogram` of
/// TensorBoard's writers gives them: the first count is zero, so that its limit is where the second bucket begins.
fn buckets(elements: impl Iterator<Item = f64>) -> (Vec<f64>, Vec<f64>) {
    let mut positive = vec![1e-12];
    let mut limit = 1e-12;
    while limit <= f64::from(f32::MAX) {
        limit *= 1.1;
        positive.push(limit);
    }
    let mut limits: Vec<f64> = positive.iter().rev().map(|x| -x).collect();
    limits.push(0.0);
    limits.extend(positive);
    // Those of bucket `i` are at least limit `i - 1` and less than limit `i`.
    let mut counts = vec![0.0; limits.len()];
    for x in elements {
        counts[limits.partition_point(|limit| *limit <= x)] += 1.0;
    }
    let filled = |count: &f64| *count > 0.0;
    match (counts.iter().position(filled), counts.iter().rposition(filled)) {
        // The first bucket ends below all numbers, so there is always one before.
        (Some(first), Some(last)) => (limits[first - 1..=last].to_vec(), counts[first - 1..=last].to_vec()),
        _ => (Vec::new(), Vec::new()),
    }
}

// Numbers of fields, from event.proto, summary.proto, histogram.proto and tensor.proto.
const EVENT_WALL_TIME: u64 = 1;
const EVENT_STEP: u64 = 2;
const EVENT_FILE_VERSION: u64 = 3;
const EVENT_SUMMARY: u64 = 5;
const SUMMARY_VALUE: u64 = 1;
const VALUE_TAG: u64 = 1;
const VALUE_SIMPLE: u64 = 2;
const VALUE_HISTOGRAM: u64 = 5;
const VALUE_TENSOR: u64 = 8;
const VALUE_METADATA: u64 = 9;
const HISTOGRAM_MIN: u64 = 1;
const HISTOGRAM_MAX: u64 = 2;
const HISTOGRAM_NUM: u64 = 3;
const HISTOGRAM_SUM: u64 = 4;
const HISTOGRAM_SUM_SQUARES: u64 = 5;
const HISTOGRAM_LIMIT: u64 = 6;
const HISTOGRAM_BUCKET: u64 = 7;
const TENSOR_TYPE: u64 = 1;
const TENSOR_SHAPE: u64 = 2;
const TENSOR_STRING: u64 = 8;
const TYPE_STRING: i64 = 7;
const METADATA_PLUGIN: u64 = 1;
const METADATA_CLASS: u64 = 4;
const CLASS_TENSOR: i64 = 2;
const PLUGIN_NAME: u64 = 1;

#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, mut number: u64) -> Message {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Message {
        self.0.extend(bytes);
        self
    }

    fn whole(self, field: u64, number: i64) -> Message {
        self.varint(field << 3).varint(number as u64)
    }

    fn double(self, field: u64, number: f64) -> Message {
        self.varint(field << 3 | 1).raw(&number.to_le_bytes())
    }

    fn float(self, field: u64, number: f32) -> Message {
        self.varint(field << 3 | 5).raw(&number.to_le_bytes())
    }

    fn bytes(self, field: u64, bytes: &[u8]) -> Message {
        self.varint(field << 3 | 2).varint(bytes.len() as u64).raw(bytes)
    }

    fn doubles(self, field: u64, numbers: &[f64]) -> Message {
        let packed: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.bytes(field, &packed)
    }
}

/// The checksum of Castagnoli's polynomial, for each byte.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 { rest >> 1 ^ 0x82f6_3b78 } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |rest: u32, byte| TABLE[usize::from(rest as u8 ^ byte)] ^ rest >> 8)
}

/// A checksum as records store it: masked, because checksums of data that contains checksums are weak.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
        assert_eq!(crc32c(b""), 0);
    }

    fn hex(digits: &str) -> Vec<u8> {
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }

    /// Compared with the file that TensorBoard's `RecordWriter` and the messages of its Python package make.
    #[test]
    fn files_are_those_of_tensorboard() {
        let mut events = Events::new(1.5e9);
        let start = "1800000000000000a37f4b2209000000c00b5ad6411a0d627261696e2e4576656e743a324ca9a464";
        assert_eq!(events.bytes(), hex(start));
        events.scalar("loss", 3, 0.25);
        events.scalar("loss", -1, 0.1);
        events.text("note", 300, "héllo *there*");
        events.histogram("w", 7, &[2.0, f32::NAN, 2.0, 2.5, f32::INFINITY]);
        let expected = [
            start,
            "1a00000000000000129bd82d09000000c00b5ad64110032a0d0a0b0a046c6f7373150000803e7ddf524a",
            "2300000000000000b09f774309000000c00b5ad64110ffffffffffffffffff012a0d0a0b0a046c6f737315cdcccc3dbb7d3a13",
            "3800000000000000a3797d5709000000c00b5ad64110ac022a2a0a280a046e6f7465421408071200420e68c3a96c6c6f202a",
            "74686572652a4a0a0a060a04746578742002755d3b50",
            "8500000000000000e98acc5909000000c00b5ad64110072a780a760a01772a71090000000000000040110000000000000440",
            "190000000000000840210000000000001a40290000000000802c403220dc94cd2e8d75ff3fe011f10c744d014077603c0e66",
            "080340ea360f76a3ef04403a20000000000000000000000000000000400000000000000000000000000000f03f7cd5cb89",
        ];
        assert_eq!(events.bytes(), hex(&expected.concat()));
    }

    /// Compared with `make_histogram` of tensorboardX with its default limits.
    #[test]
    fn buckets_are_those_of_tensorboards_writers() {
        let (limits, counts) = buckets([-2.0, -0.5, 0.0, -0.0, 1e-13, 1.0, 3.0, 3.05].into_iter());
        assert_eq!((limits.len(), counts.len()), (603, 603));
        let filled: Vec<(usize, f64, f64)> =
            (0..603).filter(|i| counts[*i] > 0.0).map(|i| (i, limits[i], counts[i])).collect();
        let expected = [
            (1, -1.9661990955585713, 1.0),
            (16, -0.47069243095356195, 1.0),
            (300, 1e-12, 3.0),
            (590, 1.0089710279437536, 1.0),
            (602, 3.1665833053880363, 2.0),
        ];
        assert_eq!(filled, expected);
        assert_eq!(limits[0], -2.1628190051144287);
    }

    #[test]
    fn every_finite_element_is_in_its_bucket() {
        let extremes = [f32::MIN, f32::MAX, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 1e21, -1e21];
        for x in extremes.into_iter().map(f64::from) {
            let (limits, counts) = buckets([x].into_iter());
            assert_eq!(counts, [0.0, 1.0]);
            assert!(limits[0] <= x && x < limits[1], "{x} {limits:?}");
        }
        assert_eq!(buckets([].into_iter()), (vec![], vec![]));
    }
}
