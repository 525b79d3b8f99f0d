//! Panics of tasks, which the runtime would keep to itself: in a simulation each is a violation.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

static HOOK: Once = Once::new();

/// Begins to note the panics of this thread.
pub(crate) fn watch() {
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            usual(panic);
        }));
    });
    PANICS.with_borrow_mut(Vec::clear);
}

/// The panics of this thread since it was watched.
pub(crate) fn noted() -> Vec<String> {
    PANICS.with_borrow_mut(std::mem::take)
}
