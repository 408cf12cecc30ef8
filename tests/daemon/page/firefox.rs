//! The page in Firefox, where it is installed.

use super::*;
use crate::support::firefox::Firefox;

#[test]
fn the_keys_move_a_slider_as_in_chromium_and_the_history_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("[store]\nenabled = true\npath = {:?}\n", folder.path().join("events.db"));
    let served = Served::playing(&voice_and_silence(folder.path()), &store);
    let Some(mut browser) = Firefox::start() else {
        eprintln!("there is no Firefox, so that nothing is tested in it; `make test` installs it where it may");
        return;
    };
    browser.open(&served.url());
    browser.wait_for("!document.querySelector('main').hidden && document.querySelectorAll('#sound-rows li').length > 100");
    browser.value("document.querySelector('li[data-slug=speech] button').click()");
    browser.wait_for("document.querySelector('li[data-slug=speech] input.threshold')");
    browser.value("document.querySelector('li[data-slug=speech] input.threshold').focus()");
    let value = "Number(document.activeElement.value)";
    let placed = browser.value(value).as_i64().unwrap();
    for (key, place) in [(Key::Right, 1), (Key::Up, 2), (Key::Left, 1), (Key::Down, 0), (Key::Left, -1), (Key::Right, 0)] {
        browser.press(char::from(key));
        assert_eq!(browser.value(value), placed + place);
    }
    browser.wait_for("document.querySelectorAll('#event-rows li').length > 0");
    browser.open(&format!("{}history", served.url()));
    browser.wait_for("document.querySelectorAll('#found-rows li').length > 0 && document.getElementById('notice').hidden");
    browser.value("document.getElementById('timeline').focus()");
    browser.press('+');
    browser.wait_for("Number(new URLSearchParams(location.hash.slice(1)).get('span')) < 60000");
}
