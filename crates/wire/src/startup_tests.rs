//! Tests of startup packets: lengths, layout, what counts as user and database. They never open a socket.

use bytes::{BufMut, Bytes};

use super::*;

fn packet(major: u16, minor: u16, rest: &[u8]) -> BytesMut {
    let mut buf = BytesMut::new();
    buf.put_u32(u32::try_from(8 + rest.len()).unwrap());
    buf.put_u16(major);
    buf.put_u16(minor);
    buf.put_slice(rest);
    buf
}

fn startup(rest: &[u8]) -> Result<Startup, WireError> {
    match take(&mut packet(3, 0, rest))? {
        Some(StartupPacket::Startup(startup)) => Ok(startup),
        other => panic!("{other:?}"),
    }
}

#[test]
fn r1_lengths_outside_8_to_10000_are_refused_at_once() {
    for length in [
        0u32,
        4,
        7,
        10_001,
        0x1603_0100,
        0x4745_5420,
        0x8000_0000,
        0xffff_ffff,
    ] {
        let mut buf = BytesMut::from(&length.to_be_bytes()[..]);
        assert_eq!(take(&mut buf), Err(WireError::StartupLength), "{length}");
    }
    assert_eq!(take(&mut BytesMut::from(&[0u8, 0, 0][..])), Ok(None));
    assert_eq!(
        take(&mut packet(3, 0, &[b'a'; 9_993])),
        Err(WireError::StartupLength)
    );
}

#[test]
fn r6_requests_are_eight_bytes_and_leave_the_rest() {
    for (minor, expected) in [
        (5679, StartupPacket::SslRequest),
        (5680, StartupPacket::GssEncRequest),
    ] {
        let mut buf = packet(1234, minor, b"");
        buf.put_slice(b"\x16\x03");
        assert_eq!(take(&mut buf), Ok(Some(expected)));
        assert_eq!(&buf[..], b"\x16\x03");
        assert_eq!(
            take(&mut packet(1234, minor, b"x")),
            Err(WireError::StartupLayout)
        );
    }
}

#[test]
fn r49_cancel_keys_have_4_to_256_bytes() {
    for length in [4usize, 32, 256] {
        let key = CancelKey::new(9, Bytes::from(vec![7; length])).unwrap();
        let mut buf = BytesMut::new();
        encode_cancel(&key, &mut buf);
        assert_eq!(take(&mut buf), Ok(Some(StartupPacket::Cancel(key))));
        assert!(buf.is_empty());
    }
    assert_eq!(
        take(&mut packet(1234, 5678, b"\0\0")),
        Err(WireError::Truncated)
    );
    for length in [0usize, 3, 257] {
        let mut body = vec![0; 4];
        body.resize(4 + length, 1);
        assert_eq!(
            take(&mut packet(1234, 5678, &body)),
            Err(WireError::CancelKeyLength)
        );
    }
}

#[test]
fn r3_parameters_end_exactly_where_the_packet_ends() {
    assert_eq!(startup(b"user\0alice\0\0").unwrap().user(), Some("alice"));
    assert_eq!(startup(b"\0").unwrap().user(), None);
    for bad in [
        &b""[..],
        b"user\0alice\0",
        b"user\0alice",
        b"user\0",
        b"user",
        b"user\0alice\0\0x",
        b"\0user\0alice\0\0",
    ] {
        assert_eq!(startup(bad), Err(WireError::StartupLayout), "{bad:?}");
    }
    assert_eq!(startup(b"user\0al\xffice\0\0"), Err(WireError::NotUtf8));
}

#[test]
fn user_and_database_are_read_as_postgresql_reads_them() {
    let both = startup(b"user\0alice\0database\0acme\0\0").unwrap();
    assert_eq!(
        (both.user(), both.database()),
        (Some("alice"), Some("acme"))
    );
    let empty = startup(b"user\0alice\0database\0\0\0").unwrap();
    assert_eq!(empty.database(), Some("alice"));
    let twice = startup(b"user\0alice\0user\0bob\0\0").unwrap();
    assert_eq!((twice.user(), twice.database()), (Some("bob"), Some("bob")));
    let nobody = startup(b"user\0\0\0").unwrap();
    assert_eq!((nobody.user(), nobody.database()), (None, None));
}

#[test]
fn r7_a_newer_minor_version_is_not_an_error_another_major_is() {
    for minor in [0, 2, 9_999] {
        let taken = take(&mut packet(3, minor, b"user\0a\0\0"))
            .unwrap()
            .unwrap();
        assert!(matches!(taken, StartupPacket::Startup(startup) if startup.minor == minor));
    }
    for (major, minor) in [(2, 0), (4, 0), (1234, 5681)] {
        let refused = take(&mut packet(major, minor, b"")).unwrap_err();
        assert_eq!(refused, WireError::UnsupportedProtocol { major, minor });
        assert_eq!(refused.sqlstate().as_str(), "0A000");
    }
}

#[test]
fn what_we_send_upstream_is_refused_rather_than_mangled() {
    let mut out = BytesMut::new();
    let long = "x".repeat(LENGTH_MAX);
    for (name, value, error) in [
        ("us\0er", "a", WireError::EmbeddedNul),
        ("user", "a\0", WireError::EmbeddedNul),
        ("", "a", WireError::StartupLayout),
        ("user", long.as_str(), WireError::StartupLength),
    ] {
        assert_eq!(encode_startup(&[(name, value)], &mut out), Err(error));
        assert!(out.is_empty());
    }
}
