//! The emulator's reader of requests.

/// Any bytes get an answer.
pub fn check(data: &[u8]) {
    portward::emulator::fuzz_request(data);
}
