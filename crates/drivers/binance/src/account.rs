//! The account: balances, positions, settings, fees, and what the API key may do. Requests and their answers.
//! Never: a position as flat because the venue left it out: who asked knows what was to be there.

mod key;

pub use key::{KeyPermissions, key_permissions, read_key_permissions};

use crate::decode::DecodeError;
use crate::fields::{Row, parse, rows};
use crate::orders::states::leg;
use crate::orders::{Desk, invalid};
use crate::profile::Profile;
use crate::request::{Call, Cost, Method, Params, Purpose};
use crate::symbols::SymbolMap;
use ctos_types::{Balance, Currency, Decimal, InstrumentId, Leg, Qty, UnixNanos, VenueError};

/// Margin of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarginType {
    Cross,
    Isolated,
}

/// What the account may do, and how it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountState {
    pub can_trade: bool,
    /// Of the account, not of the key: see [`KeyPermissions`].
    pub can_withdraw: bool,
    /// USD-M: long and short legs. `None` where there is no such thing.
    pub hedge: Option<bool>,
    /// USD-M: several assets are margin for each other.
    pub multi_assets: Option<bool>,
}

/// A balance of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetBalance {
    pub currency: Currency,
    pub balance: Balance,
    /// What can still be used; on futures after margin.
    pub available: Decimal,
}

/// A position of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VenuePosition {
    pub instrument: InstrumentId,
    pub leg: Leg,
    /// Signed.
    pub qty: Qty,
    pub entry_px: Decimal,
    /// One of the last digit that the venue writes of `entry_px`.
    pub entry_unit: Decimal,
    pub mark_px: Decimal,
    pub unrealized: Decimal,
    /// `None` where there is none, or the venue gives 0.
    pub liquidation_px: Option<Decimal>,
    /// Both only from [`Desk::all_positions`].
    pub leverage: Option<u32>,
    pub margin_type: Option<MarginType>,
    pub ts_event: Option<UnixNanos>,
}

/// Fee rates of one symbol as fractions, negative for rebates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeRates {
    pub maker: Decimal,
    pub taker: Decimal,
}

/// One step of a symbol's leverage brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket {
    pub notional_floor: Decimal,
    pub notional_cap: Decimal,
    pub max_leverage: u32,
    pub maintenance_rate: Decimal,
    /// Taken off the maintenance margin, so that it does not jump between brackets.
    pub cum: Decimal,
}

fn get(path: &'static str, weight: u32) -> Call {
    Call::signed(Method::Get, path, weight, Params::default())
}

fn set(path: &'static str, params: Params) -> Call {
    Call { cost: Cost::weight(1), ..Call::signed(Method::Post, path, 1, params) }.purpose(Purpose::Order)
}

impl Desk {
    /// Balances, and on spot what the account may do.
    pub fn balances(&self) -> Call {
        match self.profile {
            Profile::Spot => {
                Call::signed(Method::Get, "/api/v3/account", 20, Params::new().text("omitZeroBalances", "true"))
            }
            Profile::Margin => get("/sapi/v1/margin/account", 10),
            Profile::UsdM => get("/fapi/v3/balance", 5),
        }
    }

    /// The answer to [`Desk::balances`].
    pub fn read_balances(&self, body: &[u8]) -> Result<Vec<AssetBalance>, DecodeError> {
        let value = parse(body)?;
        match self.profile {
            Profile::Spot => {
                Row::new(&value, "account")?.list("balances", "balance")?.map(|r| free_locked(&r?)).collect()
            }
            Profile::Margin => {
                Row::new(&value, "account")?.list("userAssets", "balance")?.map(|r| free_locked(&r?)).collect()
            }
            Profile::UsdM => rows(&value, "balance")?.map(|r| wallet(&r?)).collect(),
        }
    }

    /// Positions and their margin settings of all symbols, flat ones too (USD-M; `None` elsewhere).
    pub fn all_positions(&self) -> Option<Call> {
        (self.profile == Profile::UsdM).then(|| get("/fapi/v2/positionRisk", 5))
    }

    /// Symbols with a position or an open order only: cheaper to read (USD-M; `None` elsewhere).
    pub fn live_positions(&self) -> Option<Call> {
        (self.profile == Profile::UsdM).then(|| get("/fapi/v3/positionRisk", 5))
    }

    /// The answer to either: positions of our instruments, and the symbols of others that are not flat.
    pub fn read_positions(&self, body: &[u8]) -> Result<(Vec<VenuePosition>, Vec<String>), DecodeError> {
        let (mut positions, mut others) = (Vec::new(), Vec::new());
        for row in rows(&parse(body)?, "position")? {
            let row = row?;
            match position(&row, self.symbols()) {
                Ok(found) => positions.push(found),
                Err(DecodeError::UnknownSymbol(symbol)) => {
                    if !row.decimal("positionAmt")?.is_zero() {
                        others.push(symbol);
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok((positions, others))
    }

    /// What the account may do and how it is set.
    pub fn state(&self) -> Call {
        match self.profile {
            Profile::UsdM => get("/fapi/v1/accountConfig", 5),
            _ => self.balances(),
        }
    }

    /// The answer to [`Desk::state`].
    pub fn read_state(&self, body: &[u8]) -> Result<AccountState, DecodeError> {
        let value = parse(body)?;
        let row = Row::new(&value, "account")?;
        Ok(match self.profile {
            Profile::Spot => AccountState {
                can_trade: row.bool("canTrade")?,
                can_withdraw: row.bool("canWithdraw")?,
                hedge: None,
                multi_assets: None,
            },
            Profile::Margin => AccountState {
                can_trade: row.bool("tradeEnabled")?,
                can_withdraw: row.bool("transferOutEnabled")?,
                hedge: None,
                multi_assets: None,
            },
            Profile::UsdM => AccountState {
                can_trade: row.bool("canTrade")?,
                can_withdraw: row.bool("canWithdraw")?,
                hedge: Some(row.bool("dualSidePosition")?),
                multi_assets: Some(row.bool("multiAssetsMargin")?),
            },
        })
    }

    /// Sets the leverage of an instrument (USD-M).
    pub fn set_leverage(&self, instrument: InstrumentId, leverage: u32) -> Result<Call, VenueError> {
        if !(1..=125).contains(&leverage) {
            return Err(invalid("leverage", format!("{leverage} is not within 1 and 125")));
        }
        Ok(set("/fapi/v1/leverage", self.futures_symbol(instrument)?.int("leverage", i64::from(leverage))))
    }

    /// The answer to [`Desk::set_leverage`]: the leverage there is now.
    pub fn read_leverage(&self, body: &[u8]) -> Result<u32, DecodeError> {
        let value = parse(body)?;
        let row = Row::new(&value, "leverage")?;
        u32::try_from(row.id("leverage")?).map_err(|_| row.missing("leverage"))
    }

    /// Sets the margin type of an instrument (USD-M). As it was already: −4046, a success.
    pub fn set_margin_type(&self, instrument: InstrumentId, margin: MarginType) -> Result<Call, VenueError> {
        let word = if margin == MarginType::Cross { "CROSSED" } else { "ISOLATED" };
        Ok(set("/fapi/v1/marginType", self.futures_symbol(instrument)?.text("marginType", word)))
    }

    /// Switches hedge mode for the whole account (USD-M and COIN-M at once). As it was already: −4059, a success.
    pub fn set_hedge(&self, hedge: bool) -> Result<Call, VenueError> {
        self.futures_only()?;
        let word = if hedge { "true" } else { "false" };
        Ok(set("/fapi/v1/positionSide/dual", Params::new().text("dualSidePosition", word)))
    }

    /// Fee rates of an instrument.
    pub fn fees(&self, instrument: InstrumentId) -> Result<Call, VenueError> {
        let params = Params::new().text("symbol", self.of(instrument)?.0.to_string());
        let path = if self.profile == Profile::UsdM { "/fapi/v1/commissionRate" } else { "/api/v3/account/commission" };
        Ok(Call::signed(Method::Get, path, 20, params))
    }

    /// The answer to [`Desk::fees`]. On spot standard, special and tax rates add up; a discount for paying in another
    /// asset is not taken off.
    pub fn read_fees(&self, body: &[u8]) -> Result<FeeRates, DecodeError> {
        let value = parse(body)?;
        let row = Row::new(&value, "commission")?;
        if self.profile == Profile::UsdM {
            return Ok(FeeRates {
                maker: row.decimal("makerCommissionRate")?,
                taker: row.decimal("takerCommissionRate")?,
            });
        }
        let mut fees = FeeRates { maker: Decimal::ZERO, taker: Decimal::ZERO };
        for part in ["standardCommission", "specialCommission", "taxCommission"] {
            if !row.has(part) && part != "standardCommission" {
                continue;
            }
            let of = row.row(part, "commission")?;
            let add = |sum: Decimal, field| {
                sum.checked_add(of.decimal(field)?).map_err(|source| DecodeError::Number {
                    kind: "commission",
                    field,
                    source,
                })
            };
            fees = FeeRates { maker: add(fees.maker, "maker")?, taker: add(fees.taker, "taker")? };
        }
        Ok(fees)
    }

    /// Leverage brackets of an instrument (USD-M).
    pub fn brackets(&self, instrument: InstrumentId) -> Result<Call, VenueError> {
        Ok(Call::signed(Method::Get, "/fapi/v1/leverageBracket", 1, self.futures_symbol(instrument)?))
    }

    /// The answer to [`Desk::brackets`], smallest first. The venue gives a list even for one symbol, or not.
    pub fn read_brackets(&self, body: &[u8]) -> Result<Vec<Bracket>, DecodeError> {
        let value = parse(body)?;
        let one = value.get(0).unwrap_or(&value);
        let read = |row: Result<Row<'_>, DecodeError>| {
            let row = row?;
            Ok(Bracket {
                notional_floor: row.decimal("notionalFloor")?,
                notional_cap: row.decimal("notionalCap")?,
                max_leverage: u32::try_from(row.id("initialLeverage")?).map_err(|_| row.missing("initialLeverage"))?,
                maintenance_rate: row.decimal("maintMarginRatio")?,
                cum: row.decimal("cum")?,
            })
        };
        let row = Row::new(one, "leverageBracket")?;
        let mut list = row.list("brackets", "bracket")?.map(read).collect::<Result<Vec<_>, _>>()?;
        list.sort_by_key(|b| b.notional_floor);
        Ok(list)
    }

    fn futures_only(&self) -> Result<(), VenueError> {
        let yes = self.profile == Profile::UsdM;
        if yes { Ok(()) } else { Err(invalid("account", format!("{} has no such setting", self.profile))) }
    }

    fn futures_symbol(&self, instrument: InstrumentId) -> Result<Params, VenueError> {
        self.futures_only()?;
        Ok(Params::new().text("symbol", self.of(instrument)?.0.to_string()))
    }
}

/// Spot's and margin's row; the debts are margin's.
fn free_locked(row: &Row<'_>) -> Result<AssetBalance, DecodeError> {
    let (free, locked) = (row.amount("free")?, row.amount("locked")?);
    let debt = |field| row.opt_decimal(field).map(Option::unwrap_or_default);
    let total = free.checked_add(locked);
    let total = total.map_err(|source| DecodeError::Number { kind: "balance", field: "free", source })?;
    let balance = Balance { total, hold: locked, borrowed: debt("borrowed")?, interest: debt("interest")? };
    Ok(AssetBalance { currency: row.currency("asset")?, balance, available: free })
}

/// USD-M's row. Orders take margin there and set nothing aside.
fn wallet(row: &Row<'_>) -> Result<AssetBalance, DecodeError> {
    let balance = Balance { total: row.amount("balance")?, ..Balance::default() };
    Ok(AssetBalance { currency: row.currency("asset")?, balance, available: row.amount("availableBalance")? })
}

fn position(row: &Row<'_>, map: &SymbolMap) -> Result<VenuePosition, DecodeError> {
    let grid = row.grid("symbol", map)?;
    let leverage = if row.has("leverage") { Some(row.id("leverage")?) } else { None };
    let margin_type = match row.opt_text("marginType")? {
        None => None,
        Some(word) if word.eq_ignore_ascii_case("cross") || word.eq_ignore_ascii_case("crossed") => {
            Some(MarginType::Cross)
        }
        Some(word) if word.eq_ignore_ascii_case("isolated") => Some(MarginType::Isolated),
        Some(other) => return Err(row.unknown("marginType", other)),
    };
    Ok(VenuePosition {
        instrument: grid.id,
        leg: leg(row, "positionSide")?,
        qty: row.signed_qty("positionAmt", grid)?,
        entry_px: row.amount("entryPrice")?,
        entry_unit: row.unit("entryPrice")?,
        mark_px: row.amount("markPrice")?,
        unrealized: row.amount("unRealizedProfit")?,
        liquidation_px: row.opt_decimal("liquidationPrice")?.filter(|px| px.is_positive()),
        leverage: leverage.map(|n| u32::try_from(n).map_err(|_| row.missing("leverage"))).transpose()?,
        margin_type,
        ts_event: row.opt_time("updateTime")?.filter(|at| at.0 > 0),
    })
}

#[cfg(test)]
mod tests;
