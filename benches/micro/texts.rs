//! The statements that are measured, each as a client might send it. They are never sent anywhere.

use std::fmt::Write as _;

/// What pgbench sends in simple mode: the same but for a number.
pub(crate) fn account(number: u32) -> String {
    format!("SELECT abalance FROM pgbench_accounts WHERE aid = {number};")
}

/// A report of about so many bytes: two tables joined, a function, as many conditions as it takes.
pub(crate) fn report(bytes: usize, number: u32) -> String {
    let mut text = format!(
        "SELECT o.id, o.placed_at, c.name, lower(c.email) FROM sales.orders o \
         JOIN sales.customers c ON o.customer = c.id WHERE o.id > {number}"
    );
    let mut column = 0;
    while text.len() < bytes {
        column += 1;
        write!(text, " AND (o.c{column} = {column} OR c.c{column} IS NULL)").unwrap();
    }
    text
}

/// What an ORM sends to fetch one row: every column by its name.
pub(crate) fn columns(bytes: usize, number: u32) -> String {
    let mut text = String::from("SELECT o.id");
    let mut column = 0;
    while text.len() + 40 < bytes {
        column += 1;
        write!(text, ", o.column_{column} AS o_column_{column}").unwrap();
    }
    write!(text, " FROM sales.orders o WHERE o.id = {number}").unwrap();
    text
}

/// A list of numbers as ORMs make it.
pub(crate) fn numbers(bytes: usize, first: u32) -> String {
    listed(bytes, first, |number| number.to_string())
}

/// The same of strings.
pub(crate) fn strings(bytes: usize, first: u32) -> String {
    listed(bytes, first, |number| format!("'key-{number}'"))
}

fn listed(bytes: usize, first: u32, item: impl Fn(u32) -> String) -> String {
    let mut text = String::from("SELECT id, name FROM items WHERE id IN (");
    text.push_str(&item(first));
    let mut number = first;
    while text.len() < bytes {
        number += 1;
        text.push_str(", ");
        text.push_str(&item(number));
    }
    text.push(')');
    text
}

/// Tables joined one behind the other: each lies one level deeper than the next.
pub(crate) fn joins(count: u32, number: u32) -> String {
    let mut text = format!("SELECT t0.a + {number} FROM t0");
    for at in 1..=count {
        write!(text, " JOIN t{at} ON t{at}.a = t{}.b", at - 1).unwrap();
    }
    text
}

/// Strings put together one by one: as deep as there are.
pub(crate) fn concatenations(count: u32, number: u32) -> String {
    format!("SELECT '{number}'{}", " || 'x'".repeat(count as usize))
}
