//! The gateway of a venue, run by the link's shell.
use super::{ClosureStatus, Gateway};
use crate::UserError;
use crate::config::VenueAccount;
use ctos_link::Time;
use ctos_link::gateway::{Part, VenueWords};
use std::sync::Arc;

pub(super) fn spawn(
    _: &VenueAccount,
    _: Box<dyn VenueWords>,
    _: Vec<Box<dyn Part>>,
    _: Arc<dyn Time>,
    _: Vec<ClosureStatus>,
) -> Result<Box<dyn Gateway>, UserError> {
    Err(UserError::new(
        "links to live venues are not wired up in this version",
        "trade the synthetic market or a recording",
    ))
}
