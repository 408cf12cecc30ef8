//! A proxy between a camera and mimid that spoils the packets of the sound as networks and cameras do. It reads RTSP's framing alone.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::free_port;

/// The way in which packets are spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoiling {
    /// Every 50th packet is lost.
    Lost,
    /// Every 100th packet comes after the next one.
    Reordered,
    /// The camera's clock runs fast by a twentieth.
    Fast,
    /// The camera's clock jumps ahead by an hour after the 100th packet.
    Jumping,
}

/// Passes connections on to the camera at `to`. Returns the port.
pub fn camera_proxy(to: u16, spoiling: Spoiling) -> u16 {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(camera) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let (mut from_client, mut to_camera) = (client.try_clone().unwrap(), camera.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_camera));
            std::thread::spawn(move || pass_on(camera, client, spoiling));
        }
    });
    port
}

/// Passes on whatever the camera says, until one of the two is gone.
fn pass_on(camera: TcpStream, mut client: TcpStream, spoiling: Spoiling) -> std::io::Result<()> {
    let mut camera = BufReader::new(camera);
    let (mut spoiler, mut first) = (Spoiler { spoiling, n: 0, held: None, from: None }, [0]);
    loop {
        camera.read_exact(&mut first)?;
        if first[0] == b'$' {
            let mut head = [0; 3];
            camera.read_exact(&mut head)?;
            let mut packet = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
            camera.read_exact(&mut packet)?;
            // The odd channels are for reports.
            let packets = if head[0].is_multiple_of(2) { spoiler.take(packet) } else { vec![packet] };
            for packet in packets {
                client.write_all(&[&[b'$', head[0]], &(packet.len() as u16).to_be_bytes()[..], &packet].concat())?;
            }
        } else {
            let mut answer = vec![first[0]];
            while !answer.ends_with(b"\r\n\r\n") {
                camera.read_exact(&mut first)?;
                answer.push(first[0]);
            }
            let head = String::from_utf8_lossy(&answer).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
            camera.read_exact(&mut body)?;
            client.write_all(&[answer, body].concat())?;
        }
    }
}

struct Spoiler {
    spoiling: Spoiling,
    /// The number of packets so far.
    n: u32,
    /// The packet that comes after the next one.
    held: Option<Vec<u8>>,
    /// The stamp of the first packet.
    from: Option<u32>,
}

impl Spoiler {
    /// The packets that are passed on in the place of this one.
    fn take(&mut self, mut packet: Vec<u8>) -> Vec<Vec<u8>> {
        self.n += 1;
        let stamp = u32::from_be_bytes(packet[4..8].try_into().unwrap());
        let from = *self.from.get_or_insert(stamp);
        match self.spoiling {
            Spoiling::Lost if self.n.is_multiple_of(50) => return Vec::new(),
            Spoiling::Reordered if self.n.is_multiple_of(100) => {
                self.held = Some(packet);
                return Vec::new();
            }
            Spoiling::Lost | Spoiling::Reordered => {}
            Spoiling::Fast => packet[4..8].copy_from_slice(&(stamp + (stamp - from) / 20).to_be_bytes()),
            Spoiling::Jumping if self.n > 100 => packet[4..8].copy_from_slice(&stamp.wrapping_add(3_600 * 8_000).to_be_bytes()),
            Spoiling::Jumping => {}
        }
        [packet].into_iter().chain(self.held.take()).collect()
    }
}
