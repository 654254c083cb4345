//! Machines in turn: one at a time beside other work, two when that is over and their CPUs are free.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
    thread,
};

use anyhow::Result;

/// What this host does beside the machines.
#[derive(Clone, Copy)]
pub(crate) enum Beside<'w> {
    /// Nothing: the caller waits, and what a guest's command prints appears at once.
    Nothing,
    /// Work of the caller's, which has deadlines of its own.
    Work(&'w Work),
}

/// Work of this host's, and whether it is over.
#[derive(Default)]
pub(crate) struct Work {
    is_over: Mutex<bool>,
    ended: Condvar,
}

impl Work {
    /// Says that it is over.
    pub(crate) fn end(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.notify_all();
    }

    fn wait(&self) {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let _over = self.ended.wait_while(is_over, |is_over| !*is_over);
    }
}

/// Does each item, and returns what came of each in their order.
pub(super) fn each<I: Send, O: Send>(
    items: Vec<I>,
    beside: Beside<'_>,
    perform: impl Fn(I) -> Result<O> + Sync,
) -> Result<Vec<O>> {
    let left: Mutex<VecDeque<_>> = Mutex::new(items.into_iter().enumerate().collect());
    let done = Mutex::new(Vec::new());
    let next = || {
        let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
        left.pop_front()
    };
    let work_off = || {
        while let Some((place, item)) = next() {
            let came = perform(item);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((place, came));
        }
    };
    thread::scope(|scope| {
        if let Beside::Work(work) = beside {
            scope.spawn(|| {
                work.wait();
                work_off();
            });
        }
        work_off();
        // The one that waits finds nothing left then, and its end is waited for.
        if let Beside::Work(work) = beside {
            work.end();
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, came)| came).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn what_came_stands_in_the_order_of_the_items() {
        let doubled = each(vec![1, 2, 3], Beside::Nothing, |n| Ok(n * 2)).unwrap();
        assert_eq!(doubled, [2, 4, 6]);
        let work = Work::default();
        let doubled = each(vec![1, 2, 3], Beside::Work(&work), |n| Ok(n * 2)).unwrap();
        assert_eq!(doubled, [2, 4, 6]);
    }

    #[test]
    fn two_at_once_only_when_the_work_is_over() {
        let work = Work::default();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let perform = |number: usize| {
            if number == 2 {
                assert_eq!(most.load(Ordering::SeqCst), 1, "two beside the work");
                work.end();
            }
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
            // From the third on, each waits for company.
            while number >= 3 && most.load(Ordering::SeqCst) < 2 {
                assert!(std::time::Instant::now() < deadline, "one at a time still");
                thread::yield_now();
            }
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        };
        each((0..6).collect(), Beside::Work(&work), perform).unwrap();
        assert_eq!(most.into_inner(), 2);
    }
}
