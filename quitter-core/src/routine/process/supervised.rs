//! The life of one child process, as the reaper drives it: the process runs, is asked to stop, is killed,
//! its group ends, and it is reaped and judged.

use std::process::ExitStatus;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::builder::ProcessOptions;
use super::failure::Judged;
use super::handle::{End, EndedBy, ProcessEnd};
use super::os::{self, Leader, StopSignal};
use super::output::Drain;
use super::proc::{Census, Members};
use super::reaper::SOON;
use crate::report::escape::cut;
use crate::routine::live::Live;
use crate::tree::{DoneWait, Limits, Node, QuitWait};

/// How long to wait for the quit that explains an end which looks asked for. A supervisor signals all
/// processes of a program at once, and a child may end before the program has noticed.
pub(super) const QUIT_FOLLOWS: Duration = Duration::from_millis(100);

/// A child process until its routine is done. (Fields are dropped in this order: the routine is done when
/// everything else is dropped, and then waiters are woken.)
pub(super) struct Supervised {
    leader: Leader,
    options: ProcessOptions,
    stop_signal: StopSignal,
    output: Option<Arc<Drain>>,
    quit: QuitWait,
    /// Woken when the deadline of the quit changes.
    deadlines: Option<DoneWait>,
    stopped_at: Option<Instant>,
    /// Set when the process, or the rest of its group, was killed: how long after the stop signal, and what
    /// the process stood on.
    kill: Option<(Duration, String)>,
    /// The kill came after the process's own end, for the rest of its group.
    is_group_killed: bool,
    ended_at: Option<Instant>,
    /// Whether others may be in the group after the process's own end.
    may_have_members: Option<bool>,
    /// When the group was last seen alive after the process's own end.
    group_seen_at: Option<Instant>,
    /// Until when to wait for the output.
    output_until: Option<Instant>,
    /// Set once the process was reaped.
    end: Option<ProcessEnd>,
    live: Live,
    ended: WakesAtEnd,
}

/// When dropped, wakes the futures that wait for the end.
struct WakesAtEnd(Arc<End>);

impl Drop for WakesAtEnd {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// The next step.
pub(super) enum Next {
    Done,
    /// Step again at this moment, or when something happens.
    At(Option<Instant>),
}

impl Supervised {
    pub(super) fn new(
        live: Live,
        leader: Leader,
        stop_signal: StopSignal,
        options: ProcessOptions,
        output: Option<Arc<Drain>>,
        end: Arc<End>,
    ) -> Self {
        Self {
            leader,
            options,
            stop_signal,
            output,
            quit: QuitWait::new(live.quitter().node()),
            deadlines: None,
            stopped_at: None,
            kill: None,
            is_group_killed: false,
            ended_at: None,
            may_have_members: None,
            group_seen_at: None,
            output_until: None,
            end: None,
            live,
            ended: WakesAtEnd(end),
        }
    }

    pub(super) fn leader(&mut self) -> &mut Leader {
        &mut self.leader
    }

    pub(super) fn pid(&self) -> u32 {
        self.leader.pid()
    }

    fn node(&self) -> &Arc<Node> {
        self.live.quitter().node()
    }

    /// Drives the process as far as it goes without waiting.
    pub(super) fn step(&mut self, cx: &mut Context<'_>, census: &mut Census) -> Next {
        let is_quitting = self.look_for_quit(cx);
        // Once the process is reaped, its number may belong to another.
        let is_asked = self.stopped_at.is_some() || self.end.is_some();
        if is_quitting && !is_asked && self.leader.look() {
            if let Some(output) = &self.output {
                output.stop();
            }
            self.leader.stop(self.stop_signal);
            self.stopped_at = Some(Instant::now());
        }
        if !self.leader.has_ended() {
            return Next::At(self.kill_when_due(census));
        }
        let ended_at = *self.ended_at.get_or_insert_with(|| {
            self.leader.look();
            Instant::now()
        });
        let end = match self.end {
            Some(end) => end,
            None => {
                if let Some(at) = self.group_awaited_until(ended_at, census) {
                    return Next::At(Some(at));
                }
                if let Some(at) = self.killed_group_awaited_until(ended_at, census) {
                    return Next::At(Some(at));
                }
                let Poll::Ready(status) = self.reap() else {
                    return Next::At(Some(Instant::now() + SOON));
                };
                *self.end.insert(self.end_with(status))
            }
        };
        if !is_quitting && let Some(at) = self.quit_awaited_until(end, ended_at) {
            return Next::At(Some(at));
        }
        if let Some(at) = self.output_awaited_until() {
            return Next::At(Some(at));
        }
        self.finish(end, is_quitting);
        Next::Done
    }

    /// Whether the quitter is quitting. The waker is called when that, or later the deadline, changes.
    fn look_for_quit(&mut self, cx: &mut Context<'_>) -> bool {
        if self.quit.poll_own(cx).is_pending() {
            return false;
        }
        let deadlines = self.deadlines.get_or_insert_with(|| {
            let limits = Limits {
                ignore_deadlines: true,
                ..Limits::default()
            };
            DoneWait::for_subtree(self.live.quitter().node(), limits)
        });
        // Never ready, since this routine is live.
        let _ = deadlines.step_own(cx);
        true
    }

    /// When to kill a process that was asked to stop: before the deadline, but not before half of the time
    /// is over.
    fn kill_at(&self) -> Option<Instant> {
        let node = self.node();
        let deadline = node.deadline()?;
        let budget = deadline.saturating_duration_since(node.quit_info()?.at);
        let margin = self.options.kill_before_deadline.min(budget / 2);
        deadline.checked_sub(margin)
    }

    /// Kills the process if it is time. Otherwise returns when that will be.
    fn kill_when_due(&mut self, census: &mut Census) -> Option<Instant> {
        let (stopped_at, None) = (self.stopped_at?, &self.kill) else {
            return None;
        };
        let at = self.kill_at()?;
        if Instant::now() < at {
            return Some(at);
        }
        self.kill_and_note(stopped_at, census);
        None
    }

    /// Kills the process, or the rest of its group, and records that.
    fn kill_and_note(&mut self, stopped_at: Instant, census: &mut Census) {
        // Described before the kill, since afterwards it is too late. So this must not take long.
        let place = census.describe(self.leader.pid(), stopped_at);
        // Short, since the middle of a long status is left out of a report.
        let fate = match self.leader.kill() {
            Ok(()) => "killed",
            Err(_not_permitted) => "cannot be killed",
        };
        let record = self.live.quitter().record();
        record.set_status(format!("{} ({fate})", self.options.command).into());
        // Escaped, since it becomes part of a message whose line breaks are kept.
        let command = cut(&self.options.command, usize::MAX);
        let place = format!("{place}: {command}");
        self.kill = Some((stopped_at.elapsed(), place));
    }

    /// When to check again on the group of a process that was asked to stop and has ended, while that group
    /// is given time to end. Members that are left when the time is up are killed.
    fn group_awaited_until(&mut self, ended_at: Instant, census: &mut Census) -> Option<Instant> {
        /// The pause before the next check on a group that is still there.
        const AGAIN: Duration = Duration::from_millis(20);
        let (stopped_at, None, true) = (self.stopped_at?, &self.kill, self.options.own_group)
        else {
            return None;
        };
        let ask = || self.leader.may_have_members();
        if !*self.may_have_members.get_or_insert_with(ask) {
            return None;
        }
        let kill_at = self.kill_at();
        if kill_at.is_some_and(|at| at <= Instant::now()) {
            if census.has_others(self.leader.pid()) {
                self.is_group_killed = true;
                self.kill_and_note(stopped_at, census);
            }
            return None;
        }
        let since = self.group_seen_at.map_or(ended_at, |seen| seen + AGAIN);
        let at = match census.members(self.leader.pid(), since) {
            Members::Gone => return None,
            Members::Live(seen_at) => {
                if self.group_seen_at.is_none() {
                    let status = format!(
                        "{} (has ended, and its group has not)",
                        self.options.command
                    );
                    self.live.quitter().record().set_status(status.into());
                }
                self.group_seen_at = Some(seen_at);
                seen_at + AGAIN
            }
            Members::AskAt(at) => at,
        };
        Some(kill_at.map_or(at, |kill_at| at.min(kill_at)))
    }

    /// When to check again whether the rest of the group, which is killed, has ended.
    fn killed_group_awaited_until(
        &mut self,
        ended_at: Instant,
        census: &mut Census,
    ) -> Option<Instant> {
        const AT_MOST: Duration = Duration::from_millis(100);
        const AGAIN: Duration = Duration::from_millis(5);
        if !self.options.own_group || self.stopped_at.is_some() {
            return None;
        }
        let ask = || self.leader.may_have_members();
        if !*self.may_have_members.get_or_insert_with(ask) {
            return None;
        }
        let _ = self.leader.kill();
        if ended_at.elapsed() >= AT_MOST {
            return None;
        }
        let since = self.group_seen_at.map_or(ended_at, |seen| seen + AGAIN);
        match census.members(self.leader.pid(), since) {
            Members::Gone => None,
            Members::Live(seen_at) => {
                self.group_seen_at = Some(seen_at);
                Some(seen_at + AGAIN)
            }
            Members::AskAt(at) => Some(at),
        }
    }

    /// Kills the rest of the group, and then reaps the process: in this order, since the number is the
    /// process's own until it is reaped. Pending: try again soon.
    fn reap(&mut self) -> Poll<Option<ExitStatus>> {
        if self.options.own_group {
            let _ = self.leader.kill();
        }
        self.leader.reap()
    }

    fn end_with(&self, status: Option<ExitStatus>) -> ProcessEnd {
        let is_killed = || self.is_group_killed || status.is_none_or(os::is_killed);
        let by = match (self.stopped_at, &self.kill) {
            (None, _) => EndedBy::Itself,
            (Some(_), Some(_)) if is_killed() => EndedBy::Kill,
            (Some(_), _) => EndedBy::StopSignal,
        };
        let output = self.output.as_ref();
        let unread = output.and_then(|output| output.unread());
        ProcessEnd { status, by, unread }
    }

    /// Until when to wait for the quit that explains an end which looks asked for.
    fn quit_awaited_until(&self, end: ProcessEnd, ended_at: Instant) -> Option<Instant> {
        let status = end.status?;
        let until = ended_at + QUIT_FOLLOWS;
        let judged = self.judged(end, false);
        let is_failure = self.options.failure_on.judge(&judged).is_some();
        (is_failure && judged.looks_asked(status) && Instant::now() < until).then_some(until)
    }

    /// Until when to wait for the output.
    fn output_awaited_until(&mut self) -> Option<Instant> {
        let output = self.output.as_ref()?;
        let until = *self
            .output_until
            .get_or_insert_with(|| Instant::now() + Drain::AT_MOST);
        (!output.is_done() && Instant::now() < until).then_some(until)
    }

    fn judged(&self, end: ProcessEnd, is_quitting: bool) -> Judged<'_> {
        Judged {
            end,
            is_quitting,
            stop_signal: self.stop_signal.number(),
            kill: self.kill.as_ref(),
        }
    }

    /// Publishes how the process ended, and records the failure if it is one. The check-out follows.
    fn finish(&self, end: ProcessEnd, is_quitting: bool) {
        self.ended.0.set(end);
        let judged = self.judged(end, is_quitting);
        if let Some(failure) = self.options.failure_on.judge(&judged) {
            self.live.fail(failure);
        }
    }
}
