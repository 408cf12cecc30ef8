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
