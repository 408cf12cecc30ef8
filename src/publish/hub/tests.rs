use proptest::prelude::*;

use super::*;

fn report(source: &str, samples: u64) -> Report {
    Report::SourceClipping { source: source.into(), samples }
}

fn publish(hub: &Hub, source: &str) {
    hub.publish(report(source, 1), Timestamp::UNIX_EPOCH);
}

/// The numbers of the reports, and minus the count of those that are missing.
fn numbers<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> Vec<i64> {
    let number = |delivery: &Delivery| match delivery {
        Delivery::Published(published) => published.seq as i64,
        Delivery::Dropped(count) => -(*count as i64),
    };
    deliveries.into_iter().map(number).collect()
}

fn replayed(replay: &SubscriptionStart) -> Vec<i64> {
    replay.reports.iter().map(|published| published.seq as i64).collect()
}

fn drain(subscription: &mut Subscription) -> Vec<Delivery> {
    std::iter::from_fn(|| subscription.try_next()).collect()
}

#[test]
fn a_replay_and_what_follows_it_come_exactly_once() {
    let hub = Hub::new(Arc::default());
    for _ in 0..5 {
        publish(&hub, "a");
    }
    let (mut client, seq) = hub.connect();
    assert_eq!(seq, 5);
    publish(&hub, "a");
    let replay = client.subscribe(Filter::default(), Some(2), None);
    publish(&hub, "a");
    // Number 6 waited for the client, and comes with the replay only.
    assert!(replay.before.is_empty());
    assert_eq!((replay.seq, replay.gone, replayed(&replay)), (6, 0, vec![3, 4, 5, 6]));
    let replay = client.subscribe(Filter::default(), None, None);
    assert_eq!((numbers(&replay.before), replay.reports.len()), (vec![7], 0));
    assert!(drain(&mut client).is_empty());
}

#[test]
fn what_is_no_longer_held_is_counted() {
    let hub = Hub::new(Arc::default());
    for _ in 0..REPLAY + 10 {
        publish(&hub, "a");
    }
    let (mut client, _) = hub.connect();
    let replay = client.subscribe(Filter::default(), Some(4), None);
    assert_eq!((replay.gone, replay.reports.len()), (6, REPLAY));
    assert!(!replay.restarted);
}

#[test]
fn a_number_of_another_start_of_the_daemon_brings_all_that_is_held_and_is_told() {
    let hub = Hub::new(Arc::default());
    for _ in 0..REPLAY + 10 {
        publish(&hub, "a");
    }
    let (mut client, seq) = hub.connect();
    let (own, other) = (hub.instance.to_string(), Uuid::now_v7().to_string());
    let mut subscribe = |since, instance| {
        let replay = client.subscribe(Filter::default(), Some(since), instance);
        (replay.restarted, replay.gone, replay.reports.len())
    };
    // Without an instance, only a number beyond the last one shows that it is of another start.
    assert_eq!(subscribe(seq, None), (false, 0, 0));
    assert_eq!(subscribe(seq + 1, None), (true, 10, REPLAY));
    assert_eq!(subscribe(seq, Some(&own)), (false, 0, 0));
    assert_eq!(subscribe(seq, Some(&other)), (true, 10, REPLAY));
    // A client that asks for no replay misses nothing.
    assert!(!client.subscribe(Filter::default(), None, Some(&other)).restarted);
}

#[test]
fn a_client_that_stalls_loses_lines_in_their_place_and_nobody_else_does() {
    let stats = Arc::new(Stats::default());
    let hub = Hub::new(stats.clone());
    let (mut stalled, _) = hub.connect();
    let (mut healthy, _) = hub.connect();
    let mut heard = Vec::new();
    for _ in 0..QUEUE + 100 {
        publish(&hub, "a");
        heard.extend(numbers(&drain(&mut healthy)));
    }
    assert_eq!(heard, (1..=(QUEUE + 100) as i64).collect::<Vec<_>>());
    assert_eq!(numbers(&drain(&mut stalled)), (1..=QUEUE as i64).collect::<Vec<_>>());
    publish(&hub, "a");
    assert_eq!(numbers(&drain(&mut stalled)), [-100, (QUEUE + 101) as i64]);
    assert_eq!(stats.dropped_lines.load(Relaxed), 100);
}

#[test]
fn a_client_that_goes_is_forgotten() {
    let hub = Hub::new(Arc::default());
    let (client, _) = hub.connect();
    drop(client);
    assert!(hub.lock().subscribers.is_empty());
}

#[test]
fn long_lines_fill_a_queue_by_their_bytes() {
    let hub = Hub::new(Arc::default());
    let (mut client, _) = hub.connect();
    let faults = vec!["x".repeat(QUEUE_BYTES / 4)];
    for _ in 0..6 {
        hub.publish(Report::ConfigRejected { faults: faults.clone() }, Timestamp::UNIX_EPOCH);
    }
    assert_eq!(numbers(&drain(&mut client)), [1, 2, 3]);
    assert_eq!(numbers(&client.missed()), [-3]);
    // A report that is larger than the whole bound passes where nothing else waits.
    hub.publish(Report::ConfigRejected { faults: vec!["x".repeat(QUEUE_BYTES)] }, Timestamp::UNIX_EPOCH);
    assert_eq!(numbers(&drain(&mut client)), [7]);
    assert_eq!(client.backlog.bytes.load(Relaxed), 0);
}

#[tokio::test]
async fn the_pump_publishes_what_comes_and_ends_with_its_senders() {
    let hub = Hub::new(Arc::default());
    let (reports, pumped) = mpsc::channel(2);
    let task = tokio::spawn({
        let hub = hub.clone();
        async move { hub.pump(pumped).await }
    });
    for _ in 0..100 {
        reports.send(report("a", 1)).await.unwrap();
    }
    drop(reports);
    task.await.unwrap();
    assert_eq!(hub.seq(), 100);
}

fn report_of(delivery: Delivery) -> Arc<Published> {
    let Delivery::Published(published) = delivery else { panic!("reports are missing") };
    published
}

#[test]
fn a_report_and_its_line_are_there_once_however_many_clients_get_them() {
    let hub = Hub::new(Arc::default());
    let mut clients: Vec<_> = (0..100).map(|_| hub.connect().0).collect();
    publish(&hub, "a");
    let got: Vec<_> = clients.iter_mut().map(|client| report_of(client.try_next().unwrap())).collect();
    assert!(got.iter().all(|published| Arc::ptr_eq(published, &got[0])));
    // The one that is held for replay is the same, too.
    assert!(Arc::ptr_eq(&got[0], &clients[0].subscribe(Filter::default(), Some(0), None).reports[0]));
    assert!(std::ptr::eq(got[0].line(), got[1].line()));
    assert_eq!(
        got[0].line(),
        "{\"v\":1,\"seq\":1,\"ts\":\"1970-01-01T00:00:00.000Z\",\"type\":\"source.clipping\",\"source\":\"a\",\"samples\":1}\n"
    );
}

#[test]
fn a_delivery_says_what_its_line_says() {
    let hub = Hub::new(Arc::default());
    let (mut client, _) = hub.connect();
    publish(&hub, "a");
    for delivery in [client.try_next().unwrap(), Delivery::Dropped(7)] {
        let line: serde_json::Value = serde_json::from_str(delivery.line().strip_suffix('\n').unwrap()).unwrap();
        assert_eq!((line["seq"].as_u64(), line["type"].as_str()), (delivery.seq(), Some(delivery.kind())));
        let missing = matches!(delivery, Delivery::Dropped(_)).then_some(7);
        assert_eq!(line["count"].as_u64(), missing);
    }
}

#[test]
fn what_a_thousand_stalled_clients_hold_is_bounded_and_shared() {
    let hub = Hub::new(Arc::default());
    let mut stalled: Vec<_> = (0..1_000).map(|_| hub.connect().0).collect();
    for _ in 0..QUEUE + 50 {
        publish(&hub, "a");
    }
    let first: Vec<Vec<_>> = stalled.iter_mut().map(|client| drain(client).into_iter().map(report_of).collect()).collect();
    assert!(first.iter().all(|reports| reports.len() == QUEUE));
    // A report is there once, however many wait for it.
    assert!(first.iter().all(|reports| reports.iter().zip(&first[0]).all(|(report, same)| Arc::ptr_eq(report, same))));
}

/// A step in the life of a hub with three clients.
#[derive(Debug, Clone)]
enum Op {
    /// Publish so many reports about the source a or b.
    Publish(&'static str, usize),
    /// A client takes so many deliveries.
    Read(usize, usize),
    /// A client subscribes to source a only, or to all; with a replay of so many reports, or without.
    Subscribe(usize, bool, Option<u64>),
    /// A client disconnects, and another connects.
    Reconnect(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (prop_oneof![Just("a"), Just("b")], 1usize..900).prop_map(|(source, n)| Op::Publish(source, n)),
        3 => (0usize..3, 1usize..900).prop_map(|(client, n)| Op::Read(client, n)),
        2 => (0usize..3, any::<bool>(), prop::option::of(0u64..6_000))
            .prop_map(|(client, only_a, back)| Op::Subscribe(client, only_a, back)),
        1 => (0usize..3).prop_map(Op::Reconnect),
    ]
}

/// A client, with the reports that it should have got since it last subscribed and those that it got.
struct Watched {
    subscription: Subscription,
    only_a: bool,
    wanted: Vec<i64>,
    got: Vec<i64>,
    told: i64,
}

impl Watched {
    fn new(hub: &Arc<Hub>) -> Self {
        Self { subscription: hub.connect().0, only_a: false, wanted: Vec::new(), got: Vec::new(), told: 0 }
    }

    fn take(&mut self, numbers: Vec<i64>) {
        for number in numbers {
            if number < 0 { self.told -= number } else { self.got.push(number) }
        }
    }

    /// No report comes twice, out of order or unasked. Every report that is missing waits in the queue, or is counted.
    fn check(&self, waiting: usize) {
        assert!(self.got.is_sorted_by(|a, b| a < b), "out of order: {:?}", self.got);
        assert!(self.got.iter().all(|seq| self.wanted.binary_search(seq).is_ok()), "got what it did not ask for");
        let missed = self.subscription.backlog.missed.load(Relaxed) as usize;
        // A count of missing reports can wait in the queue, so the account is exact only where nothing waits.
        let known = self.got.len() + self.told as usize + missed;
        assert!(known <= self.wanted.len(), "more than there was");
        assert!(waiting > 0 || known == self.wanted.len(), "{known} of {}", self.wanted.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_a_client_got_and_what_it_was_told_it_lost_are_all_that_it_wanted(ops in prop::collection::vec(op(), 1..40)) {
        let hub = Hub::new(Arc::default());
        let mut clients: Vec<_> = (0..3).map(|_| Watched::new(&hub)).collect();
        let mut published: Vec<&str> = Vec::new();
        for op in ops {
            match op {
                Op::Publish(source, n) => for _ in 0..n {
                    publish(&hub, source);
                    published.push(source);
                    for client in clients.iter_mut().filter(|client| !client.only_a || source == "a") {
                        client.wanted.push(published.len() as i64);
                    }
                },
                Op::Read(which, n) => {
                    let client = &mut clients[which];
                    let deliveries: Vec<_> = (0..n).map_while(|_| client.subscription.try_next()).collect();
                    client.take(numbers(&deliveries));
                }
                Op::Subscribe(which, only_a, back) => {
                    let client = &mut clients[which];
                    let seq = published.len() as u64;
                    let since = back.map(|back| seq.saturating_sub(back));
                    let sources = if only_a { vec!["a".to_owned()] } else { Vec::new() };
                    let replay = client.subscription.subscribe(Filter { sources, ..Filter::default() }, since, None);
                    client.take(numbers(&replay.before));
                    if since.is_none() {
                        client.check(0);
                    }
                    let from = since.unwrap_or(seq);
                    let oldest = (published.len().saturating_sub(REPLAY)) as u64;
                    prop_assert_eq!((replay.seq, replay.gone), (seq, oldest.saturating_sub(from)));
                    let wanted = |seq: &i64| !only_a || published[*seq as usize - 1] == "a";
                    let held: Vec<i64> = (from.max(oldest) as i64 + 1..=seq as i64).filter(wanted).collect();
                    (client.only_a, client.wanted, client.got, client.told) = (only_a, held, Vec::new(), 0);
                    client.take(replayed(&replay));
                    client.check(0);
                }
                Op::Reconnect(which) => clients[which] = Watched::new(&hub),
            }
            for client in &clients {
                client.check(client.subscription.queue.len());
            }
            prop_assert_eq!(hub.lock().subscribers.len(), 3);
        }
        for client in &mut clients {
            let rest = drain(&mut client.subscription);
            client.take(numbers(&rest));
            client.check(0);
            prop_assert_eq!(client.subscription.backlog.bytes.load(Relaxed), 0);
        }
    }
}
