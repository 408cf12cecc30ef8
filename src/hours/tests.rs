//! The hours as they are written, and their ends on days of every length.

use jiff::SignedDuration;
use jiff::civil::date;
use proptest::prelude::*;

use super::*;

/// Central Europe, an island that sets its clocks by half an hour, and a zone that never does; none needs the system's files.
const ZONES: [&str; 3] = ["CET-1CEST,M3.5.0,M10.5.0/3", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "<-03>3"];

fn zone(at: usize) -> TimeZone {
    TimeZone::posix(ZONES[at]).unwrap()
}

fn hours(texts: &[&str]) -> QuietHours {
    let (hours, faults) = QuietHours::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    assert!(faults.is_empty(), "{faults:?}");
    hours
}

/// Until when it is quiet at a local time in Central Europe, as local time; `-` where it is not, `ever` where there is no end.
fn until(hours: &QuietHours, now: &str) -> String {
    let zone = zone(0);
    let now = zone.to_timestamp(now.parse().unwrap()).unwrap();
    match hours.pause(now, &zone) {
        None => "-".to_owned(),
        Some(Pause { until: None, .. }) => "ever".to_owned(),
        Some(Pause { until: Some(until), .. }) => zone.to_datetime(until).to_string(),
    }
}

#[test]
fn a_night_ends_in_the_morning() {
    let night = hours(&["22:00-06:30"]);
    for (now, expected) in [
        ("2026-11-20T21:59:59.9", "-"),
        ("2026-11-20T22:00", "2026-11-21T06:30:00"),
        ("2026-11-21T00:00", "2026-11-21T06:30:00"),
        ("2026-11-21T06:29:59.999", "2026-11-21T06:30:00"),
        ("2026-11-21T06:30", "-"),
    ] {
        assert_eq!(until(&night, now), expected, "{now}");
    }
    assert_eq!(until(&hours(&[]), "2026-11-20T22:00"), "-");
}

#[test]
fn days_are_those_on_which_the_hours_begin() {
    // 2026-11-20 is a Friday.
    let friday = hours(&["fri 22:00-6:30"]);
    assert_eq!(until(&friday, "2026-11-21T06:00"), "2026-11-21T06:30:00");
    assert_eq!(until(&friday, "2026-11-20T06:00"), "-");
    // A Sunday's night goes over the end of the week.
    assert_eq!(until(&hours(&["Sunday 22:00-06:30"]), "2026-11-23T06:00"), "2026-11-23T06:30:00");
    let over = hours(&["Fri-Mon 12:00-13:00"]);
    let quiet: Vec<i8> = (20..27).filter(|day| until(&over, &format!("2026-11-{day}T12:30")) != "-").collect();
    assert_eq!(quiet, [20, 21, 22, 23]);
}

#[test]
fn hours_that_touch_are_one_and_a_whole_week_has_no_end() {
    let weekend = hours(&["Sat,Sun 00:00-24:00", "22:00-06:30", "Mon 06:30-07:00"]);
    assert_eq!(until(&weekend, "2026-11-20T23:00"), "2026-11-23T07:00:00");
    assert_eq!(until(&hours(&["00:00-24:00"]), "2026-11-20T23:00"), "ever");
    assert_eq!(until(&hours(&["09:00-21:00", "21:00-09:00"]), "2026-11-20T23:00"), "ever");
    // All but one minute of the week.
    assert_eq!(until(&hours(&["Mon-Sat 00:00-24:00", "Sun 00:00-23:59"]), "2026-11-23T00:00"), "2026-11-29T23:59:00");
}

#[test]
fn a_night_in_which_the_clocks_are_set_is_shorter_or_longer() {
    let zone = zone(0);
    let length = |from: &str, hours: &QuietHours| {
        let now = zone.to_timestamp(from.parse().unwrap()).unwrap();
        let until = hours.pause(now, &zone).unwrap().until.unwrap();
        until.duration_since(now).as_secs() / 60
    };
    let night = hours(&["22:00-06:30"]);
    assert_eq!(length("2026-11-20T22:00", &night), 8 * 60 + 30);
    assert_eq!(length("2026-03-28T22:00", &night), 7 * 60 + 30);
    assert_eq!(length("2026-10-24T22:00", &night), 9 * 60 + 30);
    // An end that the clock never shows has come when the clock is past it.
    assert_eq!(length("2026-03-28T22:00", &hours(&["22:00-02:30"])), 4 * 60);
    // A time that the clock shows twice is quiet twice.
    let half_past = hours(&["02:30-02:45"]);
    let first = zone.to_ambiguous_timestamp(date(2026, 10, 25).at(2, 30, 0, 0)).earlier().unwrap();
    let quiet: Vec<bool> =
        (0..6).map(|at| first + SignedDuration::from_mins(15 * at)).map(|at| half_past.pause(at, &zone).is_some()).collect();
    assert_eq!(quiet, [true, false, false, false, true, false]);
}

#[test]
fn what_is_no_time_is_told_with_what_to_write_instead() {
    let texts = [
        "at night",
        "22:00",
        "25:00-06:00",
        "22:60-06:00",
        "2200-0600",
        "24:00-06:00",
        "07:00-07:00",
        "Mun 1:00-2:00",
        "Mon- 1:00-2:00",
        "+1:00-2:00",
        "",
    ];
    let (hours, faults) = QuietHours::parse(&texts.map(str::to_owned));
    assert_eq!(hours, QuietHours::default());
    insta::assert_snapshot!(faults.join("\n"), @r#"
    "at night" is no time of day; write it as "22:00-06:30" or "Mon-Fri 09:00-17:00"
    "22:00" is no time of day; write it as "22:00-06:30" or "Mon-Fri 09:00-17:00"
    "25:00-06:00" is no time of day; write it as "22:00-06:30" or "Mon-Fri 09:00-17:00"
    "22:60-06:00" is no time of day; write it as "22:00-06:30" or "Mon-Fri 09:00-17:00"
    "2200-0600" is no time of day; write it as "22:00-06:30" or "Mon-Fri 09:00-17:00"
    "24:00-06:00" begins at 24:00; write 00:00 of the next day
    "07:00-07:00" ends when it begins; write 00:00-24:00 for the whole day
    "Mun 1:00-2:00" names a day "Mun", but the days are Mon, Tue, Wed, Thu, Fri, Sat, Sun; did you mean "Sun"?
    "Mon- 1:00-2:00" names a day "", but the days are Mon, Tue, Wed, Thu, Fri, Sat, Sun
    "+1:00-2:00" names a day "+", but the days are Mon, Tue, Wed, Thu, Fri, Sat, Sun
    "" is no time of day; write it as "22:00-06:30" or "Mon-Fri 09:00-17:00"
    "#);
}

#[test]
fn a_list_is_bounded() {
    let list = |entries: usize| QuietHours::parse(&vec!["22:00-06:30".to_owned(); entries]);
    assert_eq!(list(MAX_ENTRIES).1, [""; 0]);
    assert_eq!(
        list(MAX_ENTRIES + 1),
        (QuietHours::default(), vec!["this has 101 entries, but 100 at most can be taken".to_owned()])
    );
}

fn entry() -> impl Strategy<Value = Hours> {
    let minutes = (0..DAY_MIN, 1..=DAY_MIN).prop_filter("an hour ends after it begins", |(from, to)| from != to);
    (prop::array::uniform7(any::<bool>()), minutes)
        .prop_filter("on some day", |(days, _)| days.contains(&true))
        .prop_map(|(days, (from, to))| Hours { days, from, to })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(entries in prop::collection::vec(entry(), 0..4)) {
        let hours = QuietHours(entries);
        prop_assert_eq!(QuietHours::parse(&hours.texts().collect::<Vec<_>>()), (hours, Vec::new()));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*", like in "[A-Za-z, -]{0,8}[0-9:]{0,6}-?[0-9:]{0,6}") {
        let _ = QuietHours::parse(&[text, like]);
    }

    /// Minute by minute, around the days on which clocks are set: quiet is what the local clock says, and the end is the first
    /// minute at which it is not.
    #[test]
    fn it_is_quiet_until_the_end_and_not_at_it(
        entries in prop::collection::vec(entry(), 1..3), at in 0usize..3, day in prop::sample::select(vec![(3, 28), (10, 24), (4, 4), (10, 3), (7, 1)]),
        minute in 0i64..2 * 1_440,
    ) {
        let (zone, hours) = (zone(at), QuietHours(entries));
        let is_quiet = |now: Timestamp| {
            let shown = zone.to_datetime(now);
            let (today, minute) = (shown.date().weekday().to_monday_zero_offset() as usize, shown.hour() as u32 * 60 + shown.minute() as u32);
            hours.0.iter().any(|hours| match hours.from < hours.to {
                true => hours.days[today] && (hours.from..hours.to).contains(&minute),
                false => hours.days[today] && minute >= hours.from || hours.days[(today + 6) % 7] && minute < hours.to,
            })
        };
        let now = zone.to_timestamp(date(2026, day.0, day.1).at(0, 0, 0, 0)).unwrap() + SignedDuration::from_mins(minute);
        let pause = hours.pause(now, &zone);
        prop_assert_eq!(pause.is_some(), is_quiet(now));
        if let Some(Pause { until, .. }) = pause {
            let end = until.map_or(9 * 1_440, |until| until.duration_since(now).as_mins());
            prop_assert!(until.is_none_or(|until| !is_quiet(until)));
            prop_assert!((0..end).all(|at| is_quiet(now + SignedDuration::from_mins(at))));
        }
    }
}
