//! `mimid devices --network`, with a camera that answers on the loopback interface.

use serde_json::json;

use crate::support::network::onvif_camera;
use crate::support::{mimid, run};

#[test]
fn the_cameras_of_the_network_are_listed_with_their_names() {
    let _camera = onvif_camera("Front%20door%1B%5B31m");
    let listed = run(mimid().args(["devices", "--network"]));
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.status.success() && text.contains("  127.0.0.1        Front door\u{fffd}[31m  (Tests)\n"), "{text}");
    let listed = run(mimid().args(["devices", "--network", "--json"]));
    let cameras: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).unwrap();
    let camera = cameras.iter().find(|camera| camera["address"] == "127.0.0.1").unwrap();
    assert_eq!(camera["services"], json!(["http://127.0.0.1/onvif/device_service"]));
}
