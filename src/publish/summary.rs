//! The daily summary: at its time of day it asks the store what was heard since the day before, and has that published as a report. Where
//! it is off, nothing runs.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use tokio::time::sleep;

use super::settings::SummaryConfig;
use super::shared::down;
use super::sinks::Context;
use super::store::NO_STORE;
use super::store::history::History;
use super::store::history::summary::days_before;
use crate::control::Control;
use crate::event::Report;

/// The longest time between two looks at the clock, which may be set, and which stands still for timers while the machine sleeps.
const LOOK: Duration = Duration::from_secs(20);

/// The first time after `now` at which clocks show this time of day in `zone`; the next moment where they leave it out.
fn next(at: Time, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let mut day = zone.to_datetime(now).date();
    for _ in 0..3 {
        let due = zone.to_timestamp(day.to_datetime(at)).ok()?;
        if due > now {
            return Some(due);
        }
        day = day.tomorrow().ok()?;
    }
    None
}

/// Publishes a summary each day, until it is told to end.
pub async fn run(config: SummaryConfig, context: Context) {
    let mut stop = context.stop.clone();
    if context.shared.hub.store.is_none() {
        let reason = format!("there is no summary: {NO_STORE}");
        tracing::warn!("{reason}");
        context.stats.fall(reason);
        return down(&mut stop).await;
    }
    context.stats.rise();
    tokio::select! {
        () = each_day(&config, &context) => {}
        () = down(&mut stop) => {}
    }
}

async fn each_day(config: &SummaryConfig, context: &Context) {
    let mut since = Timestamp::now();
    loop {
        let zone = TimeZone::system();
        let Some(due) = next(config.at, since, &zone) else { return };
        let now = Timestamp::now();
        if now < due {
            let left = Duration::try_from(due.duration_since(now)).unwrap_or(LOOK);
            sleep(left.min(LOOK)).await;
            // A clock that was set back has its time of day once more.
            since = since.min(Timestamp::now());
            continue;
        }
        since = now;
        tell(due, zone, context).await;
    }
}

/// Publishes the summary of the day that ends at this time.
async fn tell(until: Timestamp, zone: TimeZone, context: &Context) {
    let Some(path) = context.shared.hub.store.as_ref().map(|store| store.path.clone()) else { return };
    let summary = tokio::task::spawn_blocking(move || History::open(&path)?.summary(days_before(until, 1, &zone), until, &zone));
    match summary.await {
        Ok(Ok(summary)) => {
            context.stats.sent.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            context.stats.rise();
            let control = Control::Publish { report: Report::Summary(summary.into()) };
            if context.shared.control.try_send(control).is_err() {
                tracing::warn!("there is no summary of this day: the daemon has too much to do to publish it");
            }
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "there is no summary of this day: the store cannot be read");
            context.stats.fall(format!("the store cannot be read: {error}"));
        }
        Err(_) => tracing::error!("the summary panicked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_each_day_whatever_the_clocks_do() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let time = |text: &str| -> Timestamp { text.parse().unwrap() };
        let (eight, half_past_two) = (Time::constant(8, 0, 0, 0), Time::constant(2, 30, 0, 0));
        for (at, now, due) in [
            (eight, "2026-11-29T06:59:59Z", "2026-11-29T07:00:00Z"),
            (eight, "2026-11-29T07:00:00Z", "2026-11-30T07:00:00Z"),
            // In the night in which clocks are set back, and after it.
            (eight, "2026-10-24T06:00:00Z", "2026-10-25T07:00:00Z"),
            // Half past two comes twice then, and is told once; in spring it does not come, and the next moment is taken.
            (half_past_two, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
            (half_past_two, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
            (half_past_two, "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
        ] {
            assert_eq!(next(at, time(now), &zone), Some(time(due)), "{now}");
        }
    }
}
