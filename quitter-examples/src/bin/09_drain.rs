//! A pipeline that drains in stages: orders are taken, packed and shipped, and none is lost as long as every
//! stage returns.
//!
//! Shows that only the first stage has to listen for the quit. Each later stage ends when its queue
//! is empty and closed, so the stages end in the order of the data, and each stage is
//! named in the report if it hangs. The queues are bounded: the first stage waits while they are full, so
//! the orders left at the quit can be packed within the timeout, however long the program has run. If a stage
//! hangs, the later ones wait for it until the end by force: the guide's recipe "Shut down in order" shows a
//! last stage that saves what it has before that.
//!
//! Start it with `cargo run -p quitter-examples --bin drain` and press Ctrl-C. No more orders are
//! taken, the packers pack those that were, and the shipper ships them. The program says how many
//! orders were taken and how many were shipped: two equal numbers. The exit code is 0.

use std::error::Error;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use quitter::{MainQuitter, RoutineQuitter};

const PACKERS: usize = 3;

/// How many orders may wait in a queue: the packers need less than a second for them.
const WAITING: usize = 50;

#[quitter::main(timeout = "10s")]
fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    let (take, orders) = bounded(WAITING);
    let (pack, parcels) = bounded(WAITING);
    // The last stage first: if a routine cannot be started, no order is taken.
    main.routine("ship").add(move |q| ship(q, &parcels))?;
    let packers = main.child("packers")?;
    for number in 1..=PACKERS {
        let (orders, pack) = (orders.clone(), pack.clone());
        let packer = packers.routine(format!("packer {number}"));
        packer.add(move |_| orders.iter().try_for_each(|order| pack_one(order, &pack)))?;
    }
    main.routine("take orders")
        .add(move |q| take_orders(q, &take))?;
    Ok(())
}

/// Ends at the quit. That drops the sender, which ends the next stage.
fn take_orders(q: &RoutineQuitter, take: &Sender<u64>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut taken = 0;
    for _ in q.ticks(Duration::from_millis(10)) {
        taken += 1;
        take.send(taken)?;
        if taken % 50 == 0 {
            // Unlike `println!`, this does not panic when the reader is gone.
            writeln!(io::stdout(), "{taken} orders taken so far")?;
        }
    }
    writeln!(io::stdout(), "{taken} orders taken")?;
    Ok(())
}

/// Packs more slowly than orders come in, so that some are left when the program is told to quit.
fn pack_one(order: u64, pack: &Sender<u64>) -> Result<(), Box<dyn Error + Send + Sync>> {
    thread::sleep(Duration::from_millis(50));
    Ok(pack.send(order)?)
}

fn ship(q: &RoutineQuitter, parcels: &Receiver<u64>) -> io::Result<()> {
    let mut shipped = 0;
    for order in parcels {
        shipped += 1;
        q.set_status(format!("order {order}"));
    }
    writeln!(io::stdout(), "{shipped} orders shipped")
}
