//! The real-time body of a capture, under a counting allocator: it must not allocate, whatever the format, the block size and the
//! state of the ring.

use mimid::capture::callback::Callback;
use mimid::capture::source::Channel;
use mimid::ring::ring;

use crate::calls;

fn check<T: Copy + Default>(to_f32: impl Fn(T) -> f32 + Copy) {
    for channels in [1u16, 2, 8] {
        for channel in [Channel::Mix, Channel::Pick(channels)] {
            // The ring is far too small, so most blocks meet a full one.
            let (writer, mut reader) = ring(1_000);
            let mut callback = Callback::new(writer, channels, channel, 6.0);
            let samples = vec![T::default(); 9_600 * usize::from(channels) + 1];
            let mut out = vec![0.0; 333];
            for length in [0, 1, 63, 480, 9_600, samples.len()] {
                let count = calls(|| {
                    callback.process(&samples[..length.min(samples.len())], to_f32);
                    reader.pop(&mut out);
                });
                assert_eq!(count, 0, "{} in blocks of {length}, {channels} channels", std::any::type_name::<T>());
            }
            assert!(reader.lost() > 0);
        }
    }
}

#[test]
fn the_callback_does_not_allocate() {
    check::<i8>(f32::from);
    check::<u8>(f32::from);
    check::<i16>(f32::from);
    check::<u16>(f32::from);
    check::<i32>(|sample| sample as f32);
    check::<u32>(|sample| sample as f32);
    check::<f32>(|sample| sample);
    check::<f64>(|sample| sample as f32);
}
