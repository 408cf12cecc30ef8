//! The page of the history: it is moved, searched and linked, and it knows when nothing could be heard.

use super::*;

/// What the address says under a name.
fn place(name: &str) -> String {
    format!("new URLSearchParams(location.hash.slice(1)).get('{name}')")
}

/// The names in the list.
const NAMES: &str = "[...document.querySelectorAll('#found-rows .name')].map((name) => name.textContent)";

fn kept(folder: &Path) -> String {
    format!("[store]\nenabled = true\npath = {:?}\n", folder.join("events.db"))
}

fn open_history(served: &Served, browser: &Browser, place: &str) {
    // A page that only its fragment tells from the one that is open would not be loaded anew.
    browser.open("about:blank");
    browser.open(&format!("{}history{place}", served.url()));
    browser.wait_for("!document.querySelector('main').hidden && document.querySelectorAll('#found-rows li').length > 0");
}

/// Waits until an event of this label is in the store.
fn keep_one(served: &Served, label: &str) {
    let mut client = served.daemon.connect();
    let started = client.wait_for_event("event.start", &[label]);
    client.wait_for_end_of(&started["event"]);
}

#[test]
fn it_is_moved_searched_linked_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::playing(&voice_and_silence(folder.path()), &kept(folder.path()));
    keep_one(&served, "Speech");
    let browser = Browser::start("en-US", &[]);
    open_history(&served, &browser, "");
    browser.wait_for("document.getElementById('past-title').textContent !== ''");
    browser.wait_for(&format!("{} === '86400'", place("span")));
    browser.wait_for("document.getElementById('heat').getAttribute('aria-label')?.includes('on')");
    browser.wait_for("[...document.querySelectorAll('#week-rows th')].some((name) => name.textContent === 'Speech')");

    // Keys, buttons and the pointer move it, and the address follows.
    browser.value("document.querySelector('#timeline').focus()");
    let from = browser.value(&place("from"));
    browser.type_into("#timeline", "+");
    browser.wait_for(&format!("Number({}) < 60_000", place("span")));
    browser.press(Key::Left, 3);
    browser.wait_for(&format!("{} !== '{}'", place("from"), from.as_str().unwrap()));
    browser.value("document.querySelector('input[name=span][value=\"3600000\"]').click()");
    browser.wait_for(&format!("{} === '3600'", place("span")));
    browser.value("document.getElementById('now').click()");
    browser.wait_for("document.querySelectorAll('#found-rows li').length > 0");
    let from = browser.value(&place("from"));
    let drag = "[['pointerdown', 600], ['pointermove', 700], ['pointerup', 700]].forEach(([type, clientX]) => \
                document.getElementById('timeline').dispatchEvent(new PointerEvent(type, { pointerId: 1, clientX, clientY: 300 })))";
    browser.value("HTMLElement.prototype.setPointerCapture = () => {}");
    browser.value(drag);
    browser.wait_for(&format!("{} < '{}'", place("from"), from.as_str().unwrap()));
    browser.value("document.getElementById('now').click()");

    // A name and a time are sought.
    browser.type_into("#sought", "speech today\n");
    browser.wait_for(&format!("{} === 'speech today'", place("seek")));
    browser.wait_for(&format!("{NAMES}.length > 0 && {NAMES}.every((name) => name === 'Speech')"));
    browser.value("document.getElementById('sought').value = ''");
    browser.type_into("#sought", "glass\n");
    browser.wait_for("document.querySelectorAll('#found-rows li').length === 0 && !document.getElementById('found-none').hidden");
    browser.value("document.getElementById('sought').value = ''");
    browser.type_into("#sought", "7d\n");
    browser.wait_for(&format!("{NAMES}.includes('Speech')"));

    // An event's name is its link.
    let link = browser.value("document.querySelector('#found-rows .name').getAttribute('href')").as_str().unwrap().to_owned();
    open_history(&served, &browser, &link);
    browser.wait_for("document.querySelector('#found-rows .chosen') !== null");
    assert_eq!(browser.value("'#event=' + document.querySelector('#found-rows .chosen').dataset.id"), json!(link));
    browser.wait_for(&format!("{} === '600'", place("span")));

    // All of it is saved as a table.
    browser.value("(() => { URL.createObjectURL = (blob) => { blob.text().then((text) => (window.csv = text)); return '#'; }; document.getElementById('export').click(); })()");
    let csv = browser.wait_for("window.csv").as_str().unwrap().to_owned();
    assert!(csv.starts_with("onset,offset,label,") && csv.contains(",Speech,"), "{csv}");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn the_sound_of_an_event_is_played_with_its_spectrogram() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "{}[labels.Speech]\nclip = true\n[clips]\nenabled = true\nmin_free_mb = 0\nbefore_s = 1\nafter_s = 1\n",
        kept(folder.path())
    );
    let served = Served::playing(&crate::support::voice_and_seconds_of_silence(folder.path(), 8), &config);
    let mut client = served.daemon.connect();
    while client.wait_for("clip")["state"] != "kept" {}
    let browser = Browser::start("en-US", &[]);
    open_history(&served, &browser, "");
    browser.wait_for("document.querySelector('#found-rows .play') !== null");
    browser.value("document.querySelector('#found-rows .play').click()");
    browser.wait_for("!document.getElementById('clip').hidden && document.getElementById('clip-audio').duration > 1");
    // The picture has more than one colour.
    let colours = "(() => { const canvas = document.getElementById('clip-picture'); const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height); return new Set(new Uint32Array(data.buffer)).size; })()";
    browser.wait_for(&format!("{colours} > 50"));
    assert_eq!(browser.value("document.getElementById('clip-fault').textContent"), json!(""));
    browser.value("document.getElementById('clip-close').click()");
    browser.wait_for("document.getElementById('clip').hidden");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn it_fits_every_screen_in_both_languages() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::playing(&voice_and_silence(folder.path()), &kept(folder.path()));
    keep_one(&served, "Speech");
    let browser = Browser::start("ja", &[]);
    open_history(&served, &browser, "");
    browser.wait_for("document.documentElement.lang === 'ja'");
    browser.wait_for(&format!("{NAMES}.includes('話し声')"));
    for width in [360, 768, 1_920] {
        browser.resize(width, 800);
        assert_eq!(browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth"), 0, "{width}");
        assert_eq!(browser.value(CUT_OFF), json!([]), "{width}");
    }
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn a_pause_and_a_time_without_a_daemon_are_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = Served::playing(&voice_and_silence(folder.path()), &kept(folder.path()));
    let mut client = served.daemon.connect();
    client.ask(r#"{"op":"pause"}"#, "paused");
    client.ask(r#"{"op":"resume"}"#, "resumed");
    served.daemon.signal("-KILL");
    served.daemon.wait();
    std::thread::sleep(Duration::from_millis(2_500));
    let config = served.config.clone();
    served.daemon.start_again(&config, &["--source", &format!("file:{}?loop", voice_and_silence(folder.path()).display())], &[]);
    keep_one(&served, "Speech");
    let browser = Browser::start("en-US", &[]);
    open_history(&served, &browser, "");
    let kinds = "fetch('/api/v1/history/gaps').then((answer) => answer.json()).then(({ gaps }) => ((window.all = JSON.stringify(gaps)), (window.gaps = gaps.map(({ kind }) => kind))))";
    browser.value(kinds);
    let gaps = browser.wait_for("window.gaps");
    assert_eq!(gaps, json!(["paused", "stopped"]), "{}", browser.value("window.all"));
}

#[test]
fn without_a_store_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::playing(&voice_and_silence(folder.path()), "");
    let browser = Browser::start("en-US", &[]);
    browser.open(&format!("{}history", served.url()));
    browser.wait_for("document.getElementById('notice').textContent.includes('[store] enabled = true')");
}

#[test]
fn an_event_is_marked_by_keyboard_and_the_choice_of_another_sound_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::playing(&voice_and_silence(folder.path()), &kept(folder.path()));
    keep_one(&served, "Speech");
    served.daemon.connect().ask(r#"{"op":"pause"}"#, "done");
    let browser = Browser::start("en-US", &[]);
    open_history(&served, &browser, "");
    browser.wait_for("document.querySelectorAll('#found-rows .review').length > 0");
    let pressed =
        |kind: &str| format!("document.querySelector('#found-rows li [data-mark={kind}]').getAttribute('aria-pressed')");
    assert_eq!(browser.value(&pressed("right")), json!("false"));
    browser.value("document.querySelector('#found-rows li [data-mark=right]').focus()");
    browser.press(Key::Enter, 1);
    browser.wait_for(&format!("{} === 'true'", pressed("right")));
    // The focus stays where it was, and what changed is announced.
    assert_eq!(browser.value("document.activeElement.dataset.mark"), json!("right"));
    browser.wait_for("document.getElementById('marked').textContent.endsWith(': Right')");
    // Pressed again it is taken away.
    browser.press(Key::Enter, 1);
    browser.wait_for(&format!("{} === 'false'", pressed("right")));
    browser.value("document.querySelector('#found-rows li [data-mark=other]').focus()");
    browser.press(Key::Enter, 1);
    browser.wait_for(
        "document.activeElement.matches('#found-rows form.what input') && document.activeElement.list.options.length > 500",
    );
    assert_eq!(
        browser.value("document.querySelector('#found-rows li [data-mark=other]').getAttribute('aria-expanded')"),
        json!("true")
    );
    browser.type_into("#found-rows form.what:not([hidden]) input", "telephone\n");
    browser.wait_for("document.querySelector('#found-rows li .detail').textContent.includes('was Telephone')");
    browser.wait_for(&format!("{} === 'true'", pressed("other")));
    // A name that no label has is refused in a sentence.
    browser.value("document.querySelector('#found-rows li [data-mark=other]').click()");
    browser.value("document.querySelector('#found-rows form.what:not([hidden]) input').value = ''");
    browser.type_into("#found-rows form.what:not([hidden]) input", "telefone\n");
    browser.wait_for("document.getElementById('notice').textContent.includes('did you mean')");
    browser.value("document.querySelector('#found-rows form.what:not([hidden]) input').focus()");
    browser.press(Key::Escape, 1);
    browser.wait_for("document.querySelector('#found-rows form.what:not([hidden])') === null");
    // What is marked is found by it.
    browser.value("(() => { const select = document.getElementById('marked-only'); select.value = 'other'; select.dispatchEvent(new Event('change')); })()");
    browser.wait_for("document.querySelectorAll('#found-rows li').length === 1");
    for width in [360, 1_280] {
        browser.resize(width, 800);
        assert_eq!(browser.value(CUT_OFF), json!([]), "{width}");
    }
}
