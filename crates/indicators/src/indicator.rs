//! What all indicators have in common, and how a whole history goes through one.
//! Never: a second implementation. A batch takes the steps of `update`, so both answer the same bits.

use crate::bar::Columns;

/// A value computed from a stream of inputs, one input at a time or many in one go.
pub trait Indicator: Clone {
    type Input: Copy;
    type Output;

    /// Takes `x` in and answers the value; `None` until warm. An input that is not usable changes nothing.
    fn update(&mut self, x: Self::Input) -> Option<Self::Output>;

    /// The value as of the newest usable input; `None` until warm.
    fn value(&self) -> Option<Self::Output>;

    /// Usable inputs until the first value.
    fn warmup(&self) -> usize;

    /// Takes all rows of `input` in, as that many calls of [`update`](Self::update) would, and writes what they answer
    /// into `out`: one column for each of [`Reading::NAMES`], `NaN` where there is no value yet. Goes on from the state
    /// it is in, so a history may come in pieces.
    ///
    /// # Errors
    /// [`BadLength`] when the columns, those of `out` included, differ in length. Nothing has changed then.
    fn batch<const N: usize, C>(&mut self, input: C, out: [&mut [f64]; N]) -> Result<(), BadLength>
    where
        C: Columns<Row = Self::Input>,
        Self::Output: Reading<N>,
    {
        let rows = check_lengths(&input, &out)?;
        let mut out = out.map(|column| &mut column[..rows]);
        let mut me = self.clone();
        for (i, x) in input.iter().enumerate() {
            put(&mut out, i, me.update(x));
        }
        *self = me;
        Ok(())
    }
}

/// Whether all rows are `good`.
#[inline(always)]
pub(crate) fn every<C: Columns>(rows: &C, good: impl Fn(C::Row) -> bool) -> bool {
    // Counted in numbers as wide as those that are looked at: a compiler takes several of them at a time then.
    rows.iter().fold(0u64, |bad, row| bad | u64::from(!good(row))) == 0
}

/// Rows for [`by_stretches`] where each step waits for the one before: so few that a processor looks over the next ones
/// meanwhile.
pub(crate) const STRETCH: usize = 16;

/// Rows for [`by_stretches`] where windows of `period` follow, which take many values side by side, but not the first
/// ones; few enough to stay next to the processor.
pub(crate) fn stretch_over(period: usize) -> usize {
    (16 * period).clamp(1024, 65536)
}

/// As [`Indicator::batch`], in stretches of `rows`. An indicator that is warm takes one of `good` rows only by `fast`,
/// which may leave out what `update` has to ask of each row. `M` is `N`: an output has only one number of columns.
#[inline(always)]
pub(crate) fn by_stretches<I: Indicator, C: Columns<Row = I::Input>, const N: usize, const M: usize>(
    me: &mut I,
    input: C,
    mut out: [&mut [f64]; N],
    rows: usize,
    good: impl Fn(I::Input) -> bool,
    fast: impl Fn(&mut I, C, [&mut [f64]; M]),
) where
    I::Output: Reading<N>,
{
    let total = input.rows().unwrap_or(0);
    let mut done = 0;
    while done < total {
        let end = total.min(done + rows);
        let part = input.part(done, end);
        let mut columns = out.each_mut().map(|column| &mut column[done..end]);
        if me.value().is_some() && every(&part, &good) {
            let mut columns = columns.into_iter();
            fast(me, part, std::array::from_fn(|_| columns.next().unwrap_or_default()));
        } else {
            for (i, row) in part.iter().enumerate() {
                put(&mut columns, i, me.update(row));
            }
        }
        done = end;
    }
}

/// An indicator's value as columns of numbers.
pub trait Reading<const N: usize> {
    /// What the columns are called.
    const NAMES: [&'static str; N];

    /// The value of each column; `NaN` where a part has no value yet.
    fn row(self) -> [f64; N];
}

impl Reading<1> for f64 {
    const NAMES: [&'static str; 1] = ["value"];
    #[inline(always)]
    fn row(self) -> [f64; 1] {
        [self]
    }
}

/// Columns of different lengths, where each row needs a value in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength;

impl std::fmt::Display for BadLength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the columns of an indicator's inputs and outputs differ in length")
    }
}

impl std::error::Error for BadLength {}

#[inline]
pub(crate) fn check_lengths<const N: usize>(input: &impl Columns, out: &[&mut [f64]; N]) -> Result<usize, BadLength> {
    let rows = input.rows().ok_or(BadLength)?;
    if out.iter().all(|column| column.len() == rows) { Ok(rows) } else { Err(BadLength) }
}

#[inline(always)]
pub(crate) fn put<const N: usize, T: Reading<N>>(out: &mut [&mut [f64]; N], i: usize, value: Option<T>) {
    let row = value.map_or([f64::NAN; N], T::row);
    for k in 0..N {
        out[k][i] = row[k];
    }
}

/// Implements [`Reading`] for a struct of numbers: a column for each of `$part`.
macro_rules! reading {
    ($name:ident { $($part:ident),+ }) => {
        impl crate::indicator::Reading<{ [$(stringify!($part)),+].len() }> for $name {
            const NAMES: [&'static str; [$(stringify!($part)),+].len()] = [$(stringify!($part)),+];
            #[inline(always)]
            fn row(self) -> [f64; [$(stringify!($part)),+].len()] {
                [$(self.$part),+]
            }
        }
    };
}
pub(crate) use reading;

/// Implements [`Indicator`] by the type's own methods, which need no trait in scope.
macro_rules! indicator {
    ($name:ty, $input:ty => $output:ty) => {
        impl crate::indicator::Indicator for $name {
            crate::indicator::indicator!(@body $name, $input => $output);
        }
    };
    // With a faster way through columns, which have been checked to be of one length.
    ($name:ty, $input:ty => $output:ty, columns) => {
        impl crate::indicator::Indicator for $name {
            crate::indicator::indicator!(@body $name, $input => $output);

            #[inline]
            fn batch<const N: usize, C>(
                &mut self,
                input: C,
                out: [&mut [f64]; N],
            ) -> Result<(), crate::indicator::BadLength>
            where
                C: crate::bar::Columns<Row = $input>,
                $output: crate::indicator::Reading<N>,
            {
                crate::indicator::check_lengths(&input, &out)?;
                self.columns(input, out);
                Ok(())
            }
        }
    };
    (@body $name:ty, $input:ty => $output:ty) => {
        type Input = $input;
        type Output = $output;

        #[inline(always)]
        fn update(&mut self, x: $input) -> Option<$output> {
            <$name>::update(self, x)
        }

        #[inline(always)]
        fn value(&self) -> Option<$output> {
            <$name>::value(self)
        }

        fn warmup(&self) -> usize {
            <$name>::warmup(self)
        }
    };
}
pub(crate) use indicator;
