use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use jiff::Timestamp;

use super::*;
use crate::event::Report;
use crate::stats::sink::SinkState;

fn start(path: &Path, instance: &str) -> (Opened, Stats) {
    let stats = Stats::default();
    let config = StoreConfig { path: path.to_owned(), keep_days: 400, max_mb: 512, embeddings: true };
    let model = ModelInfo { name: "m".to_owned(), sha256: "s".to_owned(), labels: 1 };
    let (instance, node) = (instance.to_owned(), "pi".to_owned());
    let circumstances = Circumstances { instance, node, model, configuration: String::new() };
    (Store::start(config, circumstances, &stats).unwrap(), stats)
}

fn report(seq: u64) -> Arc<Published> {
    Arc::new(Published::new(seq, Timestamp::UNIX_EPOCH, Report::SourceClipping { source: "a".into(), samples: seq }))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::test]
async fn what_was_handed_over_is_in_the_file_when_it_returns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/events.db");
    let (opened, _stats) = start(&path, "a");
    assert_eq!(opened.last, 0);
    let mut n_waited = 0;
    for seq in 1..=50 {
        opened.store.keep(&[report(seq)]).await;
        // A machine that has no time for the writer is one with a slow disk.
        if opened.store.impatient.lock().unwrap().is_none() {
            n_waited += 1;
            let lines = replay::Lines::open(&path).unwrap().page(seq - 1, seq + 1).unwrap().lines;
            assert_eq!(lines.len(), 1);
            assert_eq!(lines[0].seq(), Some(seq));
        }
    }
    assert!(n_waited > 0);
    opened.store.end(50, soon());
    let (again, _stats) = start(&path, "b");
    assert_eq!(again.last, 50);
    again.store.end(50, soon());
}

#[tokio::test]
async fn what_finds_no_room_while_nothing_can_be_written_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in-the-way"), "").unwrap();
    let path = folder.path().join("in-the-way/events.db");
    let (opened, _stats) = start(&path, "a");
    let begun = Instant::now();
    for from in (0..QUEUE + 640).step_by(64) {
        opened.store.keep(&(from + 1..=from + 64).map(report).collect::<Vec<_>>()).await;
    }
    assert!(begun.elapsed() < IMPATIENT, "it waits once: {:?}", begun.elapsed());
    let stats = &opened.store.stats;
    assert_eq!((stats.queued.load(Relaxed), stats.dropped.load(Relaxed)), (QUEUE, 640));
    let (state, reason) = stats.state();
    assert!(state == SinkState::Down && reason.is_some_and(|reason| reason.contains("in-the-way")));
    // What waits is kept as soon as it can be.
    std::fs::remove_file(folder.path().join("in-the-way")).unwrap();
    let deadline = soon();
    while stats.queued.load(Relaxed) > 0 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(stats.sent.load(Relaxed), QUEUE);
    opened.store.end(QUEUE + 640, soon());
}

/// The numbers of the reports of health in a file.
fn kept(path: &Path) -> Vec<i64> {
    let db = db::Database::open_to_read(path).unwrap();
    db.rows("SELECT seq FROM health ORDER BY seq", &[], |row| row.int(0)).unwrap()
}

/// A writer at work, with the ends of its channels.
type Working = (Sender<Order>, Receiver<Numbers>, Arc<AtomicU64>, Arc<SinkStats>, std::thread::JoinHandle<()>);

/// A writer's thread for a file, what it is told, and how it says where the numbers go on.
fn writer(path: &Path) -> Working {
    let config = StoreConfig { path: path.to_owned(), keep_days: 400, max_mb: 512, embeddings: true };
    let model = ModelInfo { name: "m".to_owned(), sha256: "s".to_owned(), labels: 1 };
    let (instance, node) = ("b".to_owned(), "pi".to_owned());
    let circumstances = Circumstances { instance, node, model, configuration: String::new() };
    let (floor, sink) = (Arc::<AtomicU64>::default(), Arc::new(SinkStats::new("store")));
    let writer = Writer::new(config, circumstances, sink.clone(), watch::channel(0).0, floor.clone());
    let ((orders, taken), (opened, is_opened)) = (bounded(16), bounded(0));
    let thread = std::thread::spawn(move || writer.run(&taken, &opened));
    (orders, is_opened, floor, sink, thread)
}

fn end(orders: &Sender<Order>, last: u64, thread: std::thread::JoinHandle<()>) {
    let (done, is_done) = bounded(1);
    orders.send(Order::End(last, done)).unwrap();
    is_done.recv().unwrap();
    thread.join().unwrap();
}

#[tokio::test]
async fn a_start_that_did_not_wait_for_the_file_gives_no_number_of_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    let (opened, _stats) = start(&path, "a");
    for seq in 1..=50 {
        opened.store.keep(&[report(seq)]).await;
    }
    opened.store.end(50, soon());
    let (orders, is_opened, floor, sink, thread) = writer(&path);
    drop(is_opened);
    orders.send(Order::Keep((1..=3).map(report).collect())).unwrap();
    let deadline = soon();
    while floor.load(Relaxed) < 50 || sink.dropped.load(Relaxed) < 3 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    orders.send(Order::Keep(vec![report(51)])).unwrap();
    end(&orders, 51, thread);
    assert_eq!(kept(&path), (1..=51).collect::<Vec<_>>());
    assert_eq!((floor.load(Relaxed), sink.dropped.load(Relaxed)), (50, 3));
}

#[test]
fn the_numbers_of_an_older_file_go_on_before_it_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    let older = db::Database::open(&path).unwrap();
    schema::STEPS[..3].iter().for_each(|step| older.batch(step).unwrap());
    older.batch("PRAGMA user_version=3; INSERT INTO facts VALUES ('reserved', 1000)").unwrap();
    older.batch("INSERT INTO health VALUES (500, 0, 'source.clipping', '{}')").unwrap();
    drop(older);
    let (orders, is_opened, _, sink, thread) = writer(&path);
    // It waits to be asked, and has reserved by then what it says.
    std::thread::sleep(Duration::from_millis(50));
    let before = db::Database::open_to_read(&path).unwrap();
    assert_eq!(before.number("PRAGMA user_version", &[]), Ok(Some(3)));
    drop(before);
    assert_eq!(is_opened.recv().unwrap().last, 1_000);
    orders.send(Order::Keep(vec![report(1_001)])).unwrap();
    end(&orders, 1_001, thread);
    assert_eq!((kept(&path), sink.dropped.load(Relaxed)), (vec![500, 1_001], 0));
    let now = db::Database::open_to_read(&path).unwrap();
    assert_eq!(now.number("SELECT first_seq FROM sessions", &[]), Ok(Some(1_001)));
    assert!(now.number("SELECT value FROM facts WHERE name='reserved'", &[]).unwrap() >= Some(1_001));
    assert!(folder.path().join("events.db.version-3").exists());
}
