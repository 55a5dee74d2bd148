//! The allocator: weights and recorded values on large pages, and memory that stays.
//!
//! A pass over one token is bound by how fast the weights come from memory, and with pages of 4 KiB a third of that
//! time goes into finding the pages. jemalloc asks the kernel for large pages for all its memory (`thp:always`). And it
//! keeps what one pass has freed for the next (`dirty_decay_ms:-1`, for sizes of any kind): a pass that records
//! everything over 256 tokens takes 400 MB, and the kernel would spend a sixth of the pass on providing them again each
//! time. What a long pass leaves behind goes back while it runs, and when a command has ended ([`give_back`]).

use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[expect(unsafe_code, reason = "jemalloc reads its settings from a symbol of this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: Option<&'static u8> =
    Some(&b"thp:always,oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:0\0"[0]);

/// Free memory that is kept for the next pass.
pub const FOR_A_PASS: u64 = 512 << 20;

/// Free memory that is kept for the next op of a long pass.
pub const FOR_AN_OP: u64 = 128 << 20;

/// Memory of the process besides what recordings held, when memory was last given back.
static BESIDES: AtomicU64 = AtomicU64::new(0);

/// Gives free memory back to the system, if there are more than `spare` bytes of it. `recorded` is what recordings hold,
/// which is not free.
pub fn give_back(recorded: u64, spare: u64) {
    let besides = || resident().map(|all| all.saturating_sub(recorded));
    let Some(now) = besides() else { return };
    let before = BESIDES.fetch_min(now, Ordering::Relaxed).min(now);
    if now - before > spare || before == 0 {
        #[expect(unsafe_code, reason = "a call of jemalloc without arguments")]
        // SAFETY: the name is a string that ends with 0, and purging neither reads nor writes values.
        unsafe {
            tikv_jemalloc_sys::mallctl(ALL_ARENAS.as_ptr(), null_mut(), null_mut(), null_mut(), 0);
        }
        BESIDES.store(besides().unwrap_or(now).max(1), Ordering::Relaxed);
    }
}

/// Purges what is free in every arena.
const ALL_ARENAS: &CStr = c"arena.4096.purge";

/// Bytes of memory that the process takes; `None` where the system does not say.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
