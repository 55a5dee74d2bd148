//! The threads that compute.
//!
//! A pass over a single token is seventy products of less than half a millisecond each. Waking a sleeping thread to
//! hand one over, and being woken when it is done, takes a tenth of that or more; both functions here avoid it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a thread that is kept awake looks for work before it sleeps after all.
const PATIENCE: Duration = Duration::from_millis(2);

/// Makes the calling thread one of those that compute, until it ends: it takes part in the work that it hands out,
/// instead of sleeping until others have done it. A call from a thread that computes already does nothing.
pub fn compute_here() {
    // The pool holds on to the calling thread until the process ends.
    if let Ok(pool) = rayon::ThreadPoolBuilder::new().use_current_thread().build() {
        std::mem::forget(pool);
    }
}

/// Runs `work`, keeping the other threads from sleeping between the pieces that it hands out.
///
/// For work that hands out many small pieces on the CPU. Without [`compute_here`] it only runs `work`.
pub fn awake<R>(work: impl FnOnce() -> R) -> R {
    let Some(caller) = rayon::current_thread_index() else { return work() };
    let done = Done(Arc::new(AtomicBool::new(false)));
    let flag = done.0.clone();
    rayon::spawn_broadcast(move |context| {
        if context.index() != caller {
            stay_awake(&flag);
        }
    });
    work()
}

/// Ends the waiting, also when a panic does.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn stay_awake(done: &AtomicBool) {
    let mut idle = Instant::now();
    while !done.load(Ordering::Relaxed) {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            idle = Instant::now();
        } else if idle.elapsed() > PATIENCE {
            return;
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn work_is_done_with_and_without_a_separate_pool() {
        let sum = || (0..1000u64).into_par_iter().sum::<u64>();
        assert_eq!(awake(sum), 499_500);
        let thread = std::thread::spawn(move || {
            compute_here();
            compute_here();
            (0..50).map(|_| awake(sum)).sum::<u64>()
        });
        assert_eq!(thread.join().unwrap(), 50 * 499_500);
    }
}
