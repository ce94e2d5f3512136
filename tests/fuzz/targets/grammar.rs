//! SQL out of a grammar: statements nested in statements, strings of every kind with `;` in them,
//! comments, unicode escapes, deep towers, and the habits of people who type. It knows how many
//! statements it made.

use arbitrary::{Result, Unstructured};

/// A text, and the number of its statements if it parses.
#[derive(Debug)]
pub struct Script {
    pub text: String,
    pub statements: usize,
}

/// Levels that the choices may open; towers are deeper.
const DEPTH: u32 = 6;

pub fn script(u: &mut Unstructured<'_>) -> Result<Script> {
    let mut text = String::new();
    let mut statements = 0;
    for _ in 0..u.int_in_range(1..=4)? {
        text.push_str(blank(u)?);
        if u.ratio(7, 8)? {
            statements += 1;
            statement(u, &mut text, DEPTH)?;
        }
        text.push_str(blank(u)?);
        text.push(';');
    }
    match u.int_in_range(0..=3)? {
        0 => drop(text.pop()),
        1 => text.push_str(";;"),
        2 => text.push_str(" -- ; the end"),
        _ => {}
    }
    Ok(Script { text, statements })
}

/// What may stand between two words.
fn blank(u: &mut Unstructured<'_>) -> Result<&'static str> {
    let all = [
        " ",
        " ",
        " ",
        "\n",
        "\t",
        "\r\n",
        "  ",
        " -- ; drop\n",
        " /* ; */ ",
        " /* /* ; */ ' */ ",
        "\n--\n",
        " /**/ ",
        " --'\n",
        " /*$$*/ ",
    ];
    Ok(*u.choose(&all)?)
}

fn put(u: &mut Unstructured<'_>, text: &mut String, words: &[&str]) -> Result<()> {
    for word in words {
        text.push_str(word);
        text.push_str(blank(u)?);
    }
    Ok(())
}

fn statement(u: &mut Unstructured<'_>, text: &mut String, depth: u32) -> Result<()> {
    match u.int_in_range(0..=15)? {
        0..=3 => query(u, text, depth),
        4..=6 => write(u, text, depth),
        7..=9 if depth > 0 => around_a_query(u, text, depth - 1),
        10 => {
            put(u, text, &["DO"])?;
            string(u, text)
        }
        11 => {
            put(
                u,
                text,
                &["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS"],
            )?;
            string(u, text)
        }
        12 => tower(u, text),
        _ => {
            text.push_str(u.choose(&HABITS)?);
            Ok(())
        }
    }
}

/// What people and drivers send that is no query.
const HABITS: [&str; 24] = [
    "BEGIN",
    "COMMIT",
    "rollback",
    "SAVEPOINT a",
    "SET search_path = 'b, public'",
    "RESET ALL",
    "SET LOCAL ROLE x",
    "show all",
    "COPY t FROM STDIN",
    "VACUUM t",
    "LISTEN a",
    "TABLE t",
    "VALUES (1), (2)",
    "CALL p()",
    "EXECUTE p",
    "FETCH ALL c",
    "DISCARD ALL",
    "LOCK t",
    "select * from t limit 5",
    "ALTER TABLE t ADD a int",
    "GRANT ALL ON t TO PUBLIC",
    "SELECT pg_catalog.set_config('role', 'x', false)",
    "TRUNCATE t",
    "NOTIFY a, ';'",
];

fn write(u: &mut Unstructured<'_>, text: &mut String, depth: u32) -> Result<()> {
    match u.int_in_range(0..=2)? {
        0 => {
            put(u, text, &["INSERT", "INTO"])?;
            name(u, text)?;
            put(u, text, &["", "VALUES ("])?;
            expression(u, text, depth)?;
            text.push(')');
        }
        1 => {
            put(u, text, &["UPDATE"])?;
            name(u, text)?;
            put(u, text, &["", "SET", "a ="])?;
            expression(u, text, depth)?;
            condition(u, text, depth)?;
        }
        _ => {
            put(u, text, &["DELETE", "FROM"])?;
            name(u, text)?;
            condition(u, text, depth)?;
        }
    }
    if u.ratio(1, 4)? {
        put(u, text, &["", "RETURNING"])?;
        expression(u, text, depth)?;
    }
    Ok(())
}

/// Statements that hide a query, or stand before one.
fn around_a_query(u: &mut Unstructured<'_>, text: &mut String, depth: u32) -> Result<()> {
    let (open, close) = *u.choose(&[
        ("EXPLAIN", ""),
        ("EXPLAIN ANALYZE", ""),
        ("EXPLAIN (VERBOSE)", ""),
        ("PREPARE p AS", ""),
        ("DECLARE c CURSOR FOR", ""),
        ("COPY (", ") TO STDOUT"),
        ("CREATE TABLE c AS", ""),
        ("WITH w AS (DELETE FROM t RETURNING *)", ""),
        ("WITH w AS (SELECT 1)", ""),
        ("WITH w AS (UPDATE t SET a = 1)", ""),
    ])?;
    put(u, text, &[open])?;
    query(u, text, depth)?;
    text.push_str(close);
    Ok(())
}

fn query(u: &mut Unstructured<'_>, text: &mut String, depth: u32) -> Result<()> {
    put(u, text, &["SELECT"])?;
    expression(u, text, depth)?;
    if u.ratio(1, 2)? {
        put(u, text, &["", "FROM"])?;
        name(u, text)?;
        condition(u, text, depth)?;
    }
    let tails = [
        "",
        "",
        "",
        " FOR UPDATE",
        " LIMIT 1",
        " UNION SELECT 1",
        " INTO x",
        " ORDER BY 1",
    ];
    text.push_str(u.choose(&tails)?);
    Ok(())
}

fn condition(u: &mut Unstructured<'_>, text: &mut String, depth: u32) -> Result<()> {
    if u.ratio(1, 2)? {
        put(u, text, &["", "WHERE"])?;
        expression(u, text, depth)?;
    }
    Ok(())
}

fn expression(u: &mut Unstructured<'_>, text: &mut String, depth: u32) -> Result<()> {
    let Some(inner) = depth.checked_sub(1) else {
        text.push('1');
        return Ok(());
    };
    let leaves = ["1", "a", "NULL", "$1", "1e10", "t.a", "*", "0x1F", "1_0"];
    let operators = [
        " + ",
        " = ",
        "||",
        "->>",
        " AND ",
        " IS DISTINCT FROM ",
        "\n-\n",
    ];
    match u.int_in_range(0..=11)? {
        0 | 1 => text.push_str(u.choose(&leaves)?),
        2..=4 => string(u, text)?,
        5 | 6 => {
            text.push_str(u.choose(&["(", "EXISTS (", "ARRAY("])?);
            query(u, text, inner)?;
            text.push(')');
        }
        7 | 8 => {
            expression(u, text, inner)?;
            text.push_str(u.choose(&operators)?);
            expression(u, text, inner)?;
        }
        _ => around_an_expression(u, text, inner)?,
    }
    Ok(())
}

fn around_an_expression(u: &mut Unstructured<'_>, text: &mut String, depth: u32) -> Result<()> {
    let (open, close) = *u.choose(&[
        ("f(", ")"),
        ("lower(", ")"),
        ("count(", ")"),
        ("pg_catalog.set_config(", ")"),
        ("nextval(", ")"),
        ("\"F\"(", ")"),
        ("CASE WHEN ", " THEN 1 END"),
        ("(", ")"),
        ("(", ")::int"),
        ("(", ")::text[]"),
        ("(", ") AS \"x;y\""),
        ("(", ") COLLATE \"C\""),
        ("ARRAY[", "]"),
        ("NOT ", ""),
        ("- ", ""),
    ])?;
    text.push_str(open);
    expression(u, text, depth)?;
    text.push_str(close);
    Ok(())
}

fn name(u: &mut Unstructured<'_>, text: &mut String) -> Result<()> {
    let names = [
        "t",
        "a.t",
        "\"T;\"",
        "U&\"\\0061\"",
        "\"\"\"\"",
        "pg_class",
        "é",
        "\u{ff1b}x",
        "t$1",
        "\"a\"\".\"",
        "U&\"!0061\" UESCAPE '!'",
    ];
    text.push_str(u.choose(&names)?);
    Ok(())
}

/// A string of any spelling; its text is full of what would end it elsewhere.
fn string(u: &mut Unstructured<'_>, text: &mut String) -> Result<()> {
    let inside = [
        "",
        ";",
        "; drop table t; --",
        "/*",
        "--",
        "$a$",
        "\"",
        "é\u{202e}",
        "*/",
        "x\ny",
    ];
    let inside = *u.choose(&inside)?;
    let made = match u.int_in_range(0..=8)? {
        0 => format!("'{inside}'"),
        1 => format!("'it''s {inside}'''"),
        2 => format!("E'\\' {inside}\\\\'"),
        3 => format!("$${inside}$$"),
        4 => format!("$b$ {inside} $$ ' $b$"),
        5 => format!("U&'\\003b {inside}'"),
        6 => format!("'{inside}'\n'{inside}'"),
        7 => format!("e'\\x3b{inside}\\u003b' -- '\n"),
        _ => format!("$é_1${inside}$é_1$"),
    };
    text.push_str(&made);
    Ok(())
}

/// Something many times over, closed or not (R10).
fn tower(u: &mut Unstructured<'_>, text: &mut String) -> Result<()> {
    let towers = [
        ("(", "1", ")"),
        ("(SELECT ", "1", ")"),
        ("NOT ", "true", ""),
        ("- ", "1", ""),
        ("CASE WHEN true THEN ", "1", " END"),
        ("", "1", "+1"),
        ("", "true", " AND true"),
        ("", "1", "::int"),
        ("", "a", "[1]"),
        ("f(", "1", ")"),
        ("/*", "", "*/"),
        ("ARRAY[", "1", "]"),
        ("", "1", " UNION SELECT 1"),
        ("EXISTS (SELECT ", "1", ")"),
    ];
    let (open, core, close) = *u.choose(&towers)?;
    let times = *u.choose(&[1, 10, 100, 500, 2_000])?;
    text.push_str("SELECT ");
    text.push_str(&open.repeat(times));
    text.push_str(core);
    text.push_str(&close.repeat(times));
    Ok(())
}
