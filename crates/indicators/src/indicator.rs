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
