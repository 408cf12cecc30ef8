//! Asks the local network for cameras, by WS-Discovery, which ONVIF prescribes. It asks only when a user does, and opens no camera.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use percent_encoding::percent_decode_str;
use roxmltree::{Document, Node, ParsingOptions};
use uuid::Uuid;

/// The group and the port of WS-Discovery.
const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(239, 255, 255, 250), 3_702);
/// The pause between two looks for answers.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The time after which the question is repeated once: datagrams get lost.
const REPEAT_AFTER: Duration = Duration::from_millis(500);
/// The most bytes of an answer.
const LONGEST: usize = 1 << 16;
/// The most nodes of an answer.
const MOST_NODES: u32 = 4_096;
/// The most cameras that are listed.
const MOST_CAMERAS: usize = 1_000;

/// A camera that has answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundCamera {
    /// Its name, as it says it.
    pub name: Option<String>,
    /// Its make or model, as it says it.
    pub hardware: Option<String>,
    /// The addresses of its ONVIF service.
    pub services: BTreeSet<String>,
}

/// The cameras that answer within a time, by their addresses.
///
/// # Errors
/// The question could be sent through no interface of this machine.
pub(crate) fn cameras(time: Duration) -> io::Result<BTreeMap<IpAddr, FoundCamera>> {
    let mut sockets = Vec::new();
    let mut refused = None;
    for address in interfaces()? {
        match UdpSocket::bind((address, 0)).and_then(|socket| socket.set_nonblocking(true).map(|()| socket)) {
            Ok(socket) => sockets.push(socket),
            Err(error) => refused = Some(error),
        }
    }
    let (question, began) = (question(), Instant::now());
    let mut is_repeated = false;
    sockets.retain(|socket| match socket.send_to(question.as_bytes(), GROUP) {
        Ok(_) => true,
        Err(error) => {
            refused = Some(error);
            false
        }
    });
    if sockets.is_empty() {
        return Err(refused.unwrap_or_else(|| io::Error::new(ErrorKind::NetworkDown, "no interface has an address")));
    }
    let (mut found, mut bytes) = (BTreeMap::<IpAddr, FoundCamera>::new(), vec![0; LONGEST]);
    while began.elapsed() < time {
        if !is_repeated && began.elapsed() >= REPEAT_AFTER {
            is_repeated = true;
            for socket in &sockets {
                let _ = socket.send_to(question.as_bytes(), GROUP);
            }
        }
        for socket in &sockets {
            while let Ok((n, peer)) = socket.recv_from(&mut bytes) {
                let Some(camera) = answer(&bytes[..n]) else { continue };
                if found.len() < MOST_CAMERAS || found.contains_key(&peer.ip()) {
                    let known = found.entry(peer.ip()).or_default();
                    known.name = known.name.take().or(camera.name);
                    known.hardware = known.hardware.take().or(camera.hardware);
                    known.services.extend(camera.services);
                }
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(found)
}

/// The IPv4 addresses of this machine. A question that leaves from one of them goes out through its interface.
fn interfaces() -> io::Result<BTreeSet<Ipv4Addr>> {
    let addresses = getifaddrs()?.filter_map(|interface| interface.address);
    Ok(addresses.filter_map(|address| Some(address.as_sockaddr_in()?.ip())).collect())
}

/// The question for the cameras of a network.
fn question() -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\"><e:Header>\
         <w:MessageID>uuid:{}</w:MessageID><w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>\
         <w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>\
         <e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>",
        Uuid::now_v7()
    )
}

/// The camera of an answer; `None` where it is none.
pub fn answer(bytes: &[u8]) -> Option<FoundCamera> {
    let text = std::str::from_utf8(bytes).ok()?;
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let is = |node: &Node, name: &str| node.is_element() && node.tag_name().name() == name;
    let matched = document.descendants().find(|node| is(node, "ProbeMatch"))?;
    let words = |name: &str| {
        let child = matched.children().find(|node| is(node, name));
        child.and_then(|child| child.text()).unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let scopes = words("Scopes");
    let said = |prefix: &str| {
        let value = scopes.iter().find_map(|scope| scope.strip_prefix(prefix))?;
        let value = percent_decode_str(value).decode_utf8_lossy().trim().to_owned();
        (!value.is_empty()).then_some(value)
    };
    let services: BTreeSet<String> = words("XAddrs").into_iter().filter(|url| url.starts_with("http")).collect();
    let camera =
        FoundCamera { name: said("onvif://www.onvif.org/name/"), hardware: said("onvif://www.onvif.org/hardware/"), services };
    (camera != FoundCamera::default()).then_some(camera)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_the_name_the_hardware_and_the_services() {
        let text = "<s:Envelope xmlns:s='a' xmlns:d='b'><s:Body><d:ProbeMatches><d:ProbeMatch>\
                    <d:Scopes>onvif://www.onvif.org/type/audio_encoder onvif://www.onvif.org/name/Front%20door \
                    onvif://www.onvif.org/hardware/X1</d:Scopes>\
                    <d:XAddrs>http://10.0.0.7/onvif/device_service file:///etc/passwd</d:XAddrs>\
                    </d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>";
        let camera = answer(text.as_bytes()).unwrap();
        assert_eq!((camera.name.as_deref(), camera.hardware.as_deref()), (Some("Front door"), Some("X1")));
        assert_eq!(camera.services.iter().collect::<Vec<_>>(), ["http://10.0.0.7/onvif/device_service"]);
    }

    #[test]
    fn whatever_else_comes_is_no_camera() {
        let many = format!("<a>{}</a>", "<b/>".repeat(MOST_NODES as usize));
        let entity = "<!DOCTYPE a [<!ENTITY b 'c'>]><ProbeMatch><XAddrs>http://&b;</XAddrs></ProbeMatch>";
        for wrong in ["", "GET / HTTP/1.1", "<a>", "<a/>", "<ProbeMatch/>", entity, &many] {
            assert_eq!(answer(wrong.as_bytes()), None, "{wrong:.40}");
        }
        assert_eq!(answer(&[0xff, 0xfe]), None);
    }
}
