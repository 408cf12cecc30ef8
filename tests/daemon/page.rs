//! The page in a real browser, over a real daemon that hears a real sound server.

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::browser::Browser;
use crate::support::{Client, Daemon, RINGTONE, SoundServer, VOICE, free_port, until, voice_and_silence};
use fantoccini::key::Key;
use serde_json::{Value, json};

mod firefox;
mod history;

/// The longest time from a line of the daemon to its row in the page. It takes some milliseconds on an idle machine. A page that
/// polled would take longer.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A daemon that serves the page, and its address.
struct Served {
    daemon: Daemon,
    config: String,
    address: String,
}

impl Served {
    fn start(keys: &str, rest: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let config = format!("[sinks.http]\nlisten = \"{address}\"\n{keys}{rest}");
        let daemon = Daemon::start(&config, arguments, environment);
        let served = Self { daemon, config, address };
        until("the page to be served", || TcpStream::connect(&served.address));
        served
    }

    /// A daemon that hears a recording again and again.
    fn playing(recording: &Path, rest: &str) -> Self {
        Self::start("", rest, &["--source", &format!("file:{}?loop", recording.display())], &[])
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn open(&self, browser: &Browser) {
        browser.open(&self.url());
        browser.wait_for("!document.querySelector('main').hidden && document.querySelectorAll('#sound-rows li').length > 100");
    }
}

/// The expression for the text of the row of an event with this label; its value is undefined if there is no such row.
fn row(label: &str) -> String {
    format!(
        "[...document.querySelectorAll('#event-rows li')].map((row) => row.innerText).find((text) => text.includes('{label}'))"
    )
}

/// The number of pixels of the spectrogram that have another colour than the most frequent one.
const COLOURFUL: &str = "(() => {
    const canvas = document.getElementById('spectrogram');
    const copy = document.createElement('canvas');
    [copy.width, copy.height] = [canvas.width, canvas.height];
    const context = copy.getContext('2d', { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, copy.height / 2, copy.width, copy.height / 3);
    const all = new Map();
    for (let at = 0; at < data.length; at += 4) {
        const colour = data.slice(at, at + 3).join();
        all.set(colour, (all.get(colour) ?? 0) + 1);
    }
    return data.length / 4 - Math.max(...all.values());
})()";

#[test]
fn a_played_sound_is_seen_at_once_and_the_page_outlives_the_daemon() {
    let server = SoundServer::start();
    let mut served = Served::start("", "", &[], &server.environment());
    let mut client = served.daemon.connect();
    client.status_when_it_is("live");
    let browser = Browser::start("en-US", &[]);
    served.open(&browser);
    browser.wait_for("document.getElementById('state-text').textContent === 'Listening'");
    // The picture moves, and the meter knows that it is quiet.
    browser.wait_for("document.querySelector('#meter output').textContent.startsWith('-')");
    client.hear_on(2.0);
    let quiet = browser.value(COLOURFUL).as_u64().unwrap();

    server.play(VOICE);
    let told = client.wait_for_event("event.start", &["Speech"]);
    let began = Instant::now();
    let shown = browser.wait_for(&row("Speech"));
    assert!(began.elapsed() < AT_ONCE, "shown {:?} after the line", began.elapsed());
    assert!(shown.as_str().unwrap().contains("default"), "{shown}");
    browser.wait_for(&format!("{COLOURFUL} > {}", quiet + 500));
    // It is told to those who do not see, too.
    browser.wait_for("document.getElementById('announcer').textContent.includes('Speech, default')");
    client.wait_for_end_of(&told["event"]);
    browser.wait_for(&format!(
        "{} && !{}.includes('●') && !document.querySelector('#event-rows li.open')",
        row("Speech"),
        row("Speech")
    ));
    browser.wait_for("[...document.querySelectorAll('#day-rows tr')].some((row) => row.innerText.includes('Speech'))");
    assert_eq!(browser.console(), Vec::<String>::new());
    // Nobody else was asked for anything.
    let asked = browser.value("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).host)");
    assert!(
        asked.as_array().unwrap().iter().all(|host| *host == served.address) && asked.as_array().unwrap().len() > 10,
        "{asked}"
    );

    served.daemon.signal("-KILL");
    served.daemon.wait();
    browser.wait_for("document.getElementById('state-text').textContent.includes('does not answer')");
    served.daemon.start_again(&served.config, &[], &server.environment());
    browser.wait_for("document.getElementById('state-text').textContent === 'Listening'");
    let mut client = served.daemon.connect();
    client.hear_on(2.0);
    server.play(RINGTONE);
    client.wait_for_event("event.start", &["Ringtone", "Telephone bell ringing", "Telephone"]);
    let began = Instant::now();
    browser.wait_for(
        "[...document.querySelectorAll('#event-rows li .name')].some((name) => /Ringtone|Telephone/.test(name.textContent))",
    );
    assert!(began.elapsed() < AT_ONCE, "shown {:?} after the line", began.elapsed());
    // The earlier events are still there.
    assert!(browser.value(&row("Speech")).is_string());
}

#[test]
fn a_slider_acts_at_once_and_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::playing(&voice_and_silence(folder.path()), "");
    let mut client = served.daemon.connect();
    let browser = Browser::start("en-US", &[]);
    served.open(&browser);
    let in_force = |client: &mut Client| -> Value {
        let speech = client.look("Speech");
        json!([speech["threshold"], speech["start_threshold"]])
    };
    let before = in_force(&mut client);
    browser.wait_for(&row("Speech"));

    // Opened by the keyboard: its row, then its sliders, to the top.
    browser.type_into("#sound-filter", "speech");
    browser.value("document.querySelector('li[data-slug=speech] button').focus()");
    browser.press(Key::Enter, 1);
    browser.wait_for(
        "document.querySelector('li[data-slug=speech] .curve').getAttribute('aria-label').includes('Speech, the last minute')",
    );
    browser.press(Key::Tab, 1);
    assert_eq!(browser.value("document.activeElement.getAttribute('aria-label')"), "Threshold of Speech");
    // Right and Up raise it, Left and Down lower it, by a step each.
    let value = "Number(document.activeElement.value)";
    let placed = browser.value(value).as_i64().unwrap();
    for (key, place) in [(Key::Right, 1), (Key::Up, 2), (Key::Left, 1), (Key::Down, 0), (Key::Left, -1), (Key::Right, 0)] {
        browser.press(key, 1);
        assert_eq!(browser.value(value), placed + place);
    }
    browser.press(Key::End, 1);
    browser.press(Key::Tab, 1);
    assert_eq!(browser.value("document.activeElement.getAttribute('aria-label')"), "Start threshold of Speech");
    browser.press(Key::End, 1);
    until("both thresholds to be in force", || in_force(&mut client) == json!([0.998, 0.998]));
    // The voice goes on, and is an event no more.
    browser.wait_for("document.querySelector('li[data-slug=speech] .why').textContent === 'below its start threshold'");
    browser.wait_for("!document.querySelector('#event-rows li.open')");
    let count = "[...document.querySelectorAll('#event-rows li')].filter((row) => row.innerText.includes('Speech')).length";
    let heard = browser.value(count);
    let loudest =
        "Math.max(...[...document.querySelectorAll('li[data-slug=speech] .score')].map((score) => Number(score.textContent)))";
    browser.wait_for(&format!("{loudest} > 0.5"));
    // The recording lasts 4.4 s.
    client.hear_on(6.0);
    assert_eq!(browser.value(count), heard, "it is still told");

    // Taken back, it is one again.
    let button = |name: &str| {
        format!("[...document.querySelectorAll('.inspector button')].find((button) => button.textContent === '{name}')")
    };
    browser.value(&format!("{}.click()", button("Undo")));
    browser.wait_for(&format!("{count} > {heard}"));
    assert_eq!(in_force(&mut client), before);

    // And saved, it stands in the file.
    browser.value("document.querySelector('li[data-slug=speech] input.threshold').focus()");
    browser.press(Key::PageDown, 1);
    browser.wait_for(&format!("{} && !{}.hidden", button("Save"), button("Save")));
    browser.value(&format!("{}.click()", button("Save")));
    browser.wait_for("document.querySelector('li[data-slug=speech] .note').textContent.startsWith('Saved in ')");
    let file = std::fs::read_to_string(served.daemon.folder.path().join("mimid.toml")).unwrap();
    let saved = in_force(&mut client);
    assert!(saved[0].as_f64() < before[0].as_f64() && saved[0].as_f64() > Some(0.1), "{saved}");
    assert!(file.contains(&format!("threshold = {}", saved[0])) && !file.contains("start_threshold"), "{file}");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn which_sounds_are_reported_and_notified_is_chosen_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::playing(&voice_and_silence(folder.path()), "");
    let browser = Browser::start("en-US", &[]);
    served.open(&browser);
    browser.allow_notifications(&served.url());
    browser.wait_for(&row("Speech"));
    let open = |sound: &str, slug: &str| {
        browser
            .value("(document.getElementById('sound-which').value = 'all', document.getElementById('sound-filter').value = '')");
        browser.type_into("#sound-filter", sound);
        browser.wait_for(&format!("document.querySelector('li[data-slug={slug}] button')"));
        browser.value(&format!("document.querySelector('li[data-slug={slug}] button').click()"));
    };
    let file = || std::fs::read_to_string(served.daemon.folder.path().join("mimid.toml")).unwrap();

    // Its user is told of a dog, and of nothing else; the notifications are the browser's own.
    browser.value("(() => { window.shown = []; window.Notification = class extends Notification { constructor(title, options) { super(title, options); shown.push(title); } }; })()");
    open("dog", "dog");
    browser.click("li[data-slug=dog] .notify input");
    browser.wait_for("document.querySelector('li[data-slug=dog] .notify input').checked && localStorage.getItem('mimid.notify')");
    browser.value("[...document.querySelectorAll('li[data-slug=dog] button')].find((button) => button.textContent === 'Send a test event').click()");
    browser.wait_for("window.shown.length > 0");
    assert_eq!(browser.value("window.shown"), json!(["Dog"]));

    // A sound that the preset leaves out gets thresholds as it is reported.
    open("zing", "zing");
    assert_eq!(browser.value("document.querySelectorAll('li[data-slug=zing] .slider').length"), 0);
    browser.click("li[data-slug=zing] .report input");
    browser.wait_for("document.querySelectorAll('li[data-slug=zing] .slider').length === 2");
    assert!(file().contains("include = [\"Zing\"]"), "{}", file());
    browser.click("li[data-slug=zing] .report input");
    browser.wait_for("document.querySelectorAll('li[data-slug=zing] .slider').length === 0");
    assert!(file().contains("include = []"), "{}", file());
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// The texts that are cut off: by their own element, or by the window.
const CUT_OFF: &str = "(() => {
    const isText = (element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== '');
    const isHidden = (element) => element.closest('.hidden, [hidden], .skip, option') !== null || element.getClientRects().length === 0;
    const isShortened = (element) => element.matches('.row[aria-expanded=false] .name');
    const isCut = (element) => {
        const { left, right } = element.getBoundingClientRect();
        const hides = getComputedStyle(element).overflowX !== 'visible';
        return (hides && element.scrollWidth > element.clientWidth + 1) || left < -1 || right > innerWidth + 1;
    };
    const all = [...document.body.querySelectorAll('*')].filter((element) => isText(element) && !isHidden(element) && !isShortened(element));
    return all.filter(isCut).map((element) => `${element.className} ${element.textContent}`);
})()";

#[test]
fn nothing_is_cut_off_and_what_is_opened_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::playing(&voice_and_silence(folder.path()), "");
    let browser = Browser::start("en-US", &[]);
    for language in ["en", "ja"] {
        served.open(&browser);
        browser.value(&format!("(() => {{ const select = document.getElementById('language'); select.value = '{language}'; select.dispatchEvent(new Event('change')); }})()"));
        browser.wait_for(&format!("document.documentElement.lang === '{language}'"));
        browser.type_into("#sound-filter", "smoke detector");
        browser.wait_for("document.querySelectorAll('#sound-rows li').length === 1");
        browser.value("document.querySelector('#sound-rows button').click()");
        browser.wait_for("document.querySelector('.inspector .legend').children.length === 8 && document.querySelectorAll('#event-rows li').length > 0");
        for width in [360, 768, 1_920] {
            browser.resize(width, 800);
            assert_eq!(browser.value(CUT_OFF), json!([]), "{language} {width}");
            // The choice of the time span stands on a ground of its own, and its words differ from it.
            let colours = "(() => { const span = document.querySelector('.picture .span'); const style = getComputedStyle(span); return [style.opacity, style.backgroundColor.startsWith('rgb('), style.backgroundColor !== getComputedStyle(span.querySelector('span')).color]; })()";
            assert_eq!(browser.value(colours), json!(["1", true, true]));
        }
    }
}

#[test]
fn it_speaks_japanese_and_fits_a_phone_and_every_microphone() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_silence(folder.path());
    // A name is a name, whatever it looks like.
    let odd = "<img src=x onerror=alert(1)>";
    let source = |name: &str| format!("[[source]]\nname = {name:?}\ninput = \"file:{}?loop\"\n", recording.display());
    let served = Served::start("", &format!("{}{}", source("kitchen"), source(odd)), &[], &[]);
    let browser = Browser::start("ja", &[]);
    served.open(&browser);
    browser.wait_for("document.getElementById('state-text').textContent === '聞いています'");
    assert_eq!(browser.value("document.documentElement.lang"), "ja");
    browser.wait_for(&row("話し声"));
    browser.wait_for(&format!("document.getElementById('events').innerText.includes('{odd}')"));
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    // The other microphone has a picture of its own.
    browser.value("document.querySelectorAll('#sources input')[1].click()");
    browser.wait_for(&format!("document.getElementById('spectrogram').getAttribute('aria-label').includes('{odd}')"));
    browser.wait_for(&format!("{COLOURFUL} > 500"));
    for width in [360, 768, 1_920] {
        browser.resize(width, 800);
        assert_eq!(browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth"), 0, "{width}");
    }
    // Dark where the system is, and light where that is chosen.
    let ground = "getComputedStyle(document.body).backgroundColor";
    browser.prefer("prefers-color-scheme", "dark");
    browser.wait_for("document.documentElement.dataset.theme === 'dark'");
    let dark = browser.value(ground);
    let choose = |id: &str, value: &str| {
        browser.value(&format!("(() => {{ const select = document.getElementById('{id}'); select.value = '{value}'; select.dispatchEvent(new Event('change')); }})()"))
    };
    choose("theme", "light");
    assert_ne!(browser.value(ground), dark);
    choose("language", "en");
    browser.wait_for("document.getElementById('sounds-title').textContent === 'Sounds'");
    browser.wait_for(&row("Speech"));
    // Both are remembered.
    served.open(&browser);
    assert_eq!(browser.value("[document.documentElement.lang, document.documentElement.dataset.theme]"), json!(["en", "light"]));
    // A sound is found under its name in either language, and an event, too.
    choose("language", "ja");
    browser.type_into("#sound-filter", "煙感知");
    browser.wait_for("document.querySelectorAll('#sound-rows li').length === 1");
    browser.wait_for("document.querySelector('#sound-rows li').dataset.slug === 'smoke_detector_smoke_alarm'");
    browser.type_into("#event-filter", "speech");
    browser.wait_for(&row("話し声"));
    browser.type_into("#event-filter", "less");
    browser.wait_for("document.querySelectorAll('#event-rows li').length === 0");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn who_has_no_token_sees_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "a token of the tests\n").unwrap();
    let keys = format!("token_file = \"{}\"\n", folder.path().join("token").display());
    let source = format!("file:{}?loop", voice_and_silence(folder.path()).display());
    let served = Served::start(&keys, "[groups.secretgroup]\nlabels = [\"Speech\"]\n", &["--source", &source], &[]);
    let browser = Browser::start("en-US", &[]);
    browser.open(&served.url());
    browser.wait_for("!document.getElementById('login').hidden");
    // The event stream knows the group's name; the page must not.
    assert!(!browser.value("document.documentElement.outerHTML").as_str().unwrap().contains("secretgroup"));
    browser.type_into("#token", "not the token at all");
    browser.press(Key::Enter, 1);
    browser.wait_for("document.getElementById('login-fault').textContent.includes('not the access token')");
    browser.value("(document.getElementById('token').value = '')");
    browser.type_into("#token", "a token of the tests");
    browser.press(Key::Enter, 1);
    browser.wait_for("!document.querySelector('main').hidden");
    browser.wait_for(&row("secretgroup"));
    // And again without it, once logged out.
    browser.click("#log-out");
    browser.wait_for("!document.getElementById('login').hidden && document.querySelector('main').hidden");
    let refused: Vec<String> = browser.console().into_iter().filter(|said| !said.contains("401 (Unauthorized)")).collect();
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn the_program_of_the_readme_prints_events() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::playing(&voice_and_silence(folder.path()), "");
    let browser = Browser::start("en-US", &[]);
    browser.open(&served.url());
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let program = readme.split("```js\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(program.lines().count(), 5);
    let program = program.replace("127.0.0.1:8787", &served.address);
    browser.value(&format!(
        "(() => {{ window.printed = []; console.log = (...said) => printed.push(said.join(' ')); {program} }})()"
    ));
    browser.wait_for("window.printed.some((line) => line.includes(' Speech 0.'))");
}

#[test]
fn what_is_paused_says_so_and_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::playing(&voice_and_silence(folder.path()), "");
    let browser = Browser::start("en-US", &["--force-prefers-reduced-motion"]);
    served.open(&browser);
    browser.wait_for(&row("Speech"));
    browser.click("#pause-menu summary");
    browser.click("#pause-menu [data-seconds='3600']");
    browser.wait_for("document.getElementById('state-text').textContent.startsWith('Paused until ')");
    browser.wait_for("document.getElementById('live-empty').textContent === 'Nothing is heard during a pause.'");
    // Nothing alarms meanwhile: neither the words beside the name, nor the notice, nor the words in the picture.
    browser.value("(() => {
        window.alarms = [];
        const look = () => {
            for (const id of ['state-text', 'notice', 'live-empty']) {
                const { hidden, textContent } = document.getElementById(id);
                if (!hidden && /not heard/.test(textContent)) alarms.push(textContent);
            }
        };
        new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
    })()");
    browser.click("#resume");
    browser.wait_for("document.getElementById('state-text').textContent === 'Listening'");
    browser.wait_for("document.getElementById('live-empty').hidden");
    browser.wait_for("document.querySelector('#meter output').textContent.startsWith('-')");
    assert_eq!(browser.value("window.alarms"), json!([]));
    assert_eq!(browser.console(), Vec::<String>::new());
}
