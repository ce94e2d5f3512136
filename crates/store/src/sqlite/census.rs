//! How many tickets there are that somebody must still do something about: for people who look. It changes nothing.

use gate::ticket::State;
use gate::tickets::StoreError;
use rusqlite::Connection;

use super::Sqlite;
use crate::rows::Stop;

/// The states that end; those of tickets that have ended are not counted, as there may be years of them.
const STATES: [State; 4] = [
    State::Pending,
    State::Approved,
    State::Executing,
    State::InDoubt,
];

impl Sqlite {
    /// How many tickets there are in each state that is no end.
    pub async fn census(&self) -> Result<Vec<(State, u64)>, StoreError> {
        self.ask(|desk| census(&desk.db)).await
    }
}

fn census(db: &Connection) -> Result<Vec<(State, u64)>, Stop> {
    let mut count = db.prepare_cached("SELECT count(*) FROM tickets WHERE state = ?1")?;
    let counts = STATES.into_iter().map(|state| {
        let many: i64 = count.query_row([state.as_str()], |row| row.get(0))?;
        Ok((state, u64::try_from(many).unwrap_or(0)))
    });
    counts.collect()
}
