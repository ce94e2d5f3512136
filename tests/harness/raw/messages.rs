//! The bytes of frontend messages.

/// Any message: a tag, the length, a body.
pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &length(body), body].concat()
}

/// A startup packet of protocol 3.0.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    startup_of(0, parameters)
}

/// A startup packet of protocol 3 and this minor version.
pub fn startup_of(minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = (196_608 + i32::from(minor)).to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(text(name));
        body.extend(text(value));
    }
    body.push(0);
    untagged(&body)
}

pub fn ssl_request() -> Vec<u8> {
    untagged(&80_877_103_i32.to_be_bytes())
}

pub fn cancel_request(id: i32, secret: &[u8]) -> Vec<u8> {
    let code = 80_877_102_i32.to_be_bytes();
    untagged(&[&code[..], &id.to_be_bytes(), secret].concat())
}

pub fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &text(sql))
}

/// Parse, without parameter types.
pub fn parse(statement: &str, sql: &str) -> Vec<u8> {
    frame(b'P', &[text(statement), text(sql), vec![0, 0]].concat())
}

/// Bind, without values.
pub fn bind(portal: &str, statement: &str) -> Vec<u8> {
    bind_values(portal, statement, &[])
}

/// Bind, with values in text format.
pub fn bind_values(portal: &str, statement: &str, values: &[Option<&str>]) -> Vec<u8> {
    let mut body = [text(portal), text(statement), vec![0, 0]].concat();
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        match value {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(value) => {
                body.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend(value.as_bytes());
            }
        }
    }
    body.extend([0, 0]);
    frame(b'B', &body)
}

/// Describe: `b'S'` a statement, `b'P'` a portal.
pub fn describe(what: u8, name: &str) -> Vec<u8> {
    frame(b'D', &[vec![what], text(name)].concat())
}

/// Close: `b'S'` a statement, `b'P'` a portal.
pub fn close(what: u8, name: &str) -> Vec<u8> {
    frame(b'C', &[vec![what], text(name)].concat())
}

/// Execute, all rows.
pub fn execute(portal: &str) -> Vec<u8> {
    execute_rows(portal, 0)
}

/// Execute, no more than so many rows.
pub fn execute_rows(portal: &str, rows_max: i32) -> Vec<u8> {
    frame(
        b'E',
        &[text(portal), rows_max.to_be_bytes().to_vec()].concat(),
    )
}

pub fn flush() -> Vec<u8> {
    frame(b'H', &[])
}

pub fn sync() -> Vec<u8> {
    frame(b'S', &[])
}

pub fn terminate() -> Vec<u8> {
    frame(b'X', &[])
}

pub(super) fn sasl_initial(data: &[u8]) -> Vec<u8> {
    let length = i32::try_from(data.len()).unwrap().to_be_bytes();
    frame(b'p', &[&text("SCRAM-SHA-256")[..], &length, data].concat())
}

fn untagged(body: &[u8]) -> Vec<u8> {
    [&length(body)[..], body].concat()
}

fn length(body: &[u8]) -> [u8; 4] {
    u32::try_from(body.len() + 4).unwrap().to_be_bytes()
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}
