//! The allocator: weights and recorded values on large pages, and memory that stays.
//!
//! A pass over one token is bound by how fast the weights come from memory, and with pages of 4 KiB a third of that
//! time goes into finding the pages. jemalloc asks the kernel for large pages for all its memory (`thp:always`). And it
//! keeps what one pass has freed for the next (`dirty_decay_ms:-1`, for sizes of any kind): a pass that records
//! everything over 256 tokens takes 400 MB, and the kernel would spend a sixth of the pass on providing them again each
//! time.

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[expect(unsafe_code, reason = "jemalloc reads its settings from a symbol of this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: Option<&'static u8> =
    Some(&b"thp:always,oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:-1\0"[0]);
