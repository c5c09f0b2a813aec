use std::cell::Cell;

use super::*;

#[test]
fn a_task_runs_until_it_waits_and_goes_on_when_its_reply_is_filled() {
    let executor = Executor::new();
    let seen = Rc::new(Cell::new(0));
    let reply = Reply::new();
    let (waits_for, sees) = (reply.clone(), Rc::clone(&seen));
    executor.spawn(async move { sees.set(waits_for.await) }).detach();
    assert_eq!(executor.run(8).polled, 1);
    assert_eq!(seen.get(), 0);
    reply.fill(7);
    assert_eq!(executor.run(8).polled, 1);
    assert_eq!(seen.get(), 7);
    assert!(executor.is_idle());
}

#[test]
fn a_panicking_task_is_counted_and_the_others_go_on() {
    let executor = Executor::new();
    let seen = Rc::new(Cell::new(false));
    let sees = Rc::clone(&seen);
    executor.spawn(async { panic!("this task breaks on purpose") }).detach();
    executor.spawn(async move { sees.set(true) }).detach();
    assert_eq!(executor.run(8), Ran { polled: 2, panicked: 1 });
    assert!(seen.get());
}

#[test]
fn the_budget_bounds_a_turn() {
    let executor = Executor::new();
    for _ in 0..5 {
        executor.spawn(async {}).detach();
    }
    assert_eq!(executor.run(3).polled, 3);
    assert_eq!(executor.run(3).polled, 2);
}

#[test]
fn dropping_the_handle_ends_the_task_and_drops_what_it_holds() {
    let executor = Executor::new();
    let held = Rc::new(());
    let holds = Rc::clone(&held);
    let task = executor.spawn(async move {
        let _holds = holds;
        Reply::<()>::new().await;
    });
    executor.run(8);
    assert_eq!(Rc::strong_count(&held), 2);
    drop(task);
    executor.run(8);
    assert_eq!(Rc::strong_count(&held), 1);
}
