//! What the venue answers when it refuses: HTTP status, code, text. Never: decides when.

use crate::json::Obj;

/// A refusal on its way to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub status: u16,
    pub code: i32,
    pub msg: String,
    /// Seconds, for 429 and 418.
    pub retry_after: Option<i64>,
    /// JSON beside code and text.
    pub data: Option<String>,
}

impl ApiError {
    /// The rule: HTTP 400.
    pub fn new(code: i32, msg: impl Into<String>) -> ApiError {
        ApiError { status: 400, code, msg: msg.into(), retry_after: None, data: None }
    }

    pub fn status(self, status: u16) -> ApiError {
        ApiError { status, ..self }
    }

    pub fn body(&self) -> String {
        let body = Obj::new().int("code", self.code.into()).str("msg", &self.msg);
        match &self.data {
            Some(data) => body.raw("data", data).done(),
            None => body.done(),
        }
    }

    // ---- texts used in many places

    pub fn missing(name: &str) -> ApiError {
        ApiError::new(-1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
    }

    pub fn illegal(name: &str, range: &str) -> ApiError {
        ApiError::new(-1100, format!("Illegal characters found in parameter '{name}'; legal range is '{range}'."))
    }

    pub fn invalid(name: &str) -> ApiError {
        ApiError::new(-1130, format!("Data sent for parameter '{name}' is not valid."))
    }

    pub fn filter(name: &str) -> ApiError {
        ApiError::new(-1013, format!("Filter failure: {name}"))
    }

    pub fn symbol() -> ApiError {
        ApiError::new(-1121, "Invalid symbol.")
    }

    pub fn no_order() -> ApiError {
        ApiError::new(-2013, "Order does not exist.")
    }

    pub fn unknown_order() -> ApiError {
        ApiError::new(-2011, "Unknown order sent.")
    }
}
