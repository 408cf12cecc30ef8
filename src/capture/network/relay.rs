//! A relay to a camera, on a port of this machine. The RTSP library speaks no TLS and ends a session where a packet comes late; the relay
//! does the one and puts packets into order. It reads RTSP's framing and the packets' numbers, and changes neither.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::net::TcpListener;

use super::task::Task;
use crate::limits;

/// The most packets of a channel that wait for one that may only be late. A longer wait would be a longer latency where it is lost.
const MOST_WAITING: usize = 4;
/// The longest answer that is read, in bytes. After a longer one everything is passed on as it is.
const LONGEST_ANSWER: usize = 1 << 20;
/// The most bytes that are read at a time.
const READ: usize = 1 << 14;
/// The bytes before an RTP packet: a dollar sign, the channel, and the length.
const HEAD: usize = 4;

/// Passes one connection on to `camera`. Returns the port at which it is awaited.
///
/// # Errors
/// One sentence.
pub(super) async fn start(task: &Task, camera: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<u16, String> {
    let failed = |error: std::io::Error| format!("the connection cannot be passed on: {}", limits::explain(&error));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    task.spawn(async move {
        let Ok((client, _)) = listener.accept().await else { return };
        drop(listener);
        let (mut from_client, mut to_client) = split(client);
        let (mut from_camera, mut to_camera) = split(camera);
        // The end of either is the end of both, which both sides see.
        tokio::select! {
            _ = copy(&mut from_client, &mut to_camera) => {}
            _ = pass_on(&mut from_camera, &mut to_client) => {}
        }
    });
    Ok(port)
}

async fn pass_on(camera: &mut (impl AsyncRead + Unpin), client: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    let (mut order, mut bytes, mut ordered) = (Order::default(), vec![0; READ], Vec::new());
    loop {
        let n = camera.read(&mut bytes).await?;
        if n == 0 {
            return client.shutdown().await;
        }
        ordered.clear();
        order.take(&bytes[..n], &mut ordered);
        client.write_all(&ordered).await?;
    }
}

/// Puts the packets of a connection into order.
#[derive(Debug, Default)]
struct Order {
    /// The bytes that are not yet a whole packet or answer.
    bytes: Vec<u8>,
    channels: BTreeMap<u8, Waiting>,
    /// Whether this is not RTSP.
    is_strange: bool,
}

/// The packets of a channel that wait for an earlier one.
#[derive(Debug, Default)]
struct Waiting {
    /// The number that comes next.
    next: Option<u16>,
    /// The packets after it, by how far they are ahead of it.
    ahead: BTreeMap<u16, Vec<u8>>,
}

impl Order {
    /// Takes bytes of the camera, and appends those that may go on.
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.bytes.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(length) = self.whole(at) {
            let message = &self.bytes[at..at + length];
            match *message {
                // The even channels are for packets, the odd ones for reports about them.
                [b'$', channel, _, _, _, _, high, low, ..] if channel.is_multiple_of(2) => {
                    self.channels.entry(channel).or_default().take(u16::from_be_bytes([high, low]), message, out);
                }
                _ => out.extend_from_slice(message),
            }
            at += length;
        }
        self.bytes.drain(..at);
    }

    /// The length of the message at this place; `None` where it is not yet whole.
    fn whole(&mut self, at: usize) -> Option<usize> {
        let rest = &self.bytes[at..];
        if self.is_strange {
            return (!rest.is_empty()).then_some(rest.len());
        }
        let length = match *rest {
            [] => return None,
            [b'$', _, high, low, ..] => HEAD + usize::from(u16::from_be_bytes([high, low])),
            [b'$', ..] => return None,
            _ => match rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => (end + 4).saturating_add(content_length(&rest[..end])),
                None => rest.len() + 1,
            },
        };
        if length > LONGEST_ANSWER {
            self.is_strange = true;
            return Some(rest.len());
        }
        (length <= rest.len()).then_some(length)
    }
}

impl Waiting {
    fn take(&mut self, number: u16, packet: &[u8], out: &mut Vec<u8>) {
        let next = *self.next.get_or_insert(number);
        let ahead = number.wrapping_sub(next);
        // A packet from behind comes too late, or twice.
        if ahead >= 1 << 15 {
            return;
        }
        self.ahead.insert(ahead, packet.to_vec());
        while let Some(first) = self.ahead.first_entry() {
            let ahead = *first.key();
            if ahead > 0 && self.ahead.len() <= MOST_WAITING {
                return;
            }
            let Some((_, packet)) = self.ahead.pop_first() else { return };
            out.extend_from_slice(&packet);
            let step = ahead.wrapping_add(1);
            self.next = self.next.map(|next| next.wrapping_add(step));
            self.ahead = std::mem::take(&mut self.ahead).into_iter().map(|(ahead, packet)| (ahead - step, packet)).collect();
        }
    }
}

/// The length of the body that an answer's head names.
fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(channel: u8, number: u16) -> Vec<u8> {
        let mut bytes = vec![b'$', channel, 0, 12, 0x80, 0];
        bytes.extend(number.to_be_bytes());
        bytes.extend([0; 8]);
        bytes
    }

    const ANSWER: &[u8] = b"RTSP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n$\0\0\x01x";

    #[test]
    fn a_late_packet_comes_in_its_place_and_a_lost_one_holds_up_a_few() {
        let (mut order, mut out) = (Order::default(), Vec::new());
        let numbers = [65_533, 65_535, 65_534, 0, 2, 3, 4, 5, 6, 1, 7];
        order.take(ANSWER, &mut out);
        for number in numbers {
            order.take(&packet(0, number), &mut out);
        }
        let mut expected = ANSWER.to_vec();
        for number in [65_533, 65_534, 65_535, 0, 2, 3, 4, 5, 6, 7] {
            expected.extend(packet(0, number));
        }
        assert_eq!(out, expected);
    }

    #[test]
    fn bytes_that_are_no_rtsp_are_passed_on_as_they_are() {
        let (mut order, mut out) = (Order::default(), Vec::new());
        let bytes = vec![b'x'; LONGEST_ANSWER + 7];
        order.take(&bytes[..100], &mut out);
        assert!(out.is_empty());
        order.take(&bytes[100..], &mut out);
        order.take(b"$y", &mut out);
        assert_eq!(out.len(), bytes.len() + 2);
    }

    proptest! {
        #[test]
        fn packets_that_are_little_late_all_come_in_order_in_whatever_pieces(
            swaps in prop::collection::vec(0..40usize, 0..20), piece in 1..60usize, first in any::<u16>()
        ) {
            let mut numbers: Vec<u16> = (0..42).map(|n| first.wrapping_add(n)).collect();
            // The first tells where it begins, and no packet is swapped twice: it would be late by more.
            let mut swapped = std::collections::BTreeSet::new();
            for at in swaps.into_iter().filter(|at| *at > 0) {
                if !swapped.contains(&(at - 1)) && !swapped.contains(&(at + 1)) && swapped.insert(at) {
                    numbers.swap(at, at + 1);
                }
            }
            let mut sent = ANSWER.to_vec();
            let mut expected = ANSWER.to_vec();
            for (n, number) in numbers.iter().enumerate() {
                sent.extend(packet(0, *number));
                expected.extend(packet(0, first.wrapping_add(n as u16)));
            }
            let (mut order, mut out) = (Order::default(), Vec::new());
            for bytes in sent.chunks(piece) {
                order.take(bytes, &mut out);
            }
            prop_assert_eq!(out, expected);
        }
    }
}
