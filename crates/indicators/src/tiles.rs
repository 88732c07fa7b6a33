//! A whole history through a window, several blocks side by side.
//! Never: other sums than those of `Window::push`. Blocks do not depend on each other, so each is a lane of its own.

use crate::bar::{Columns, Pair};
use crate::indicator::every;
use crate::number::{Lanes, Number};
use crate::usable;
use crate::window::{Aggregate, Item, Runs, View, Window};

/// Blocks at a time.
const SIDE_BY_SIDE: usize = 4;

/// Windows beyond this go block by block: the sums of several blocks would no longer stay near the processor.
const WIDEST: usize = 4096;

/// What is read from a window: a value of `N` numbers.
pub(crate) trait Formula<const N: usize>: Copy {
    type Over: Aggregate;
    type Value: FromRow<N>;
    fn read<F: Number>(self, view: View<Self::Over, F>) -> [F; N];
}

/// What a row of [`Reading::NAMES`](crate::Reading::NAMES) makes.
pub(crate) trait FromRow<const N: usize> {
    fn from_row(row: [f64; N]) -> Self;
}

impl FromRow<1> for f64 {
    #[inline(always)]
    fn from_row([x]: [f64; 1]) -> f64 {
        x
    }
}

/// A row that goes into a window as it is.
pub(crate) trait Sample: Copy {
    type Item: Item;
    fn good(self) -> bool;
    fn item(self) -> Self::Item;
}

impl Sample for f64 {
    type Item = f64;
    #[inline(always)]
    fn good(self) -> bool {
        usable(self)
    }
    #[inline(always)]
    fn item(self) -> f64 {
        self
    }
}

impl Sample for Pair {
    type Item = [f64; 2];
    #[inline(always)]
    fn good(self) -> bool {
        self.is_usable()
    }
    #[inline(always)]
    fn item(self) -> [f64; 2] {
        [self.x, self.y]
    }
}

impl<A: Aggregate> Window<A> {
    /// Takes a row in if it is good.
    #[inline(always)]
    pub fn take(&mut self, row: impl Sample<Item = A::Item>) {
        if row.good() {
            self.push(row.item());
        }
    }

    /// What `formula` says of the window; `None` until it is full.
    #[inline(always)]
    pub fn value<const N: usize, Q: Formula<N, Over = A>>(&self, formula: Q) -> Option<Q::Value> {
        self.read(formula).map(Q::Value::from_row)
    }

    #[inline(always)]
    fn read<const N: usize, Q: Formula<N, Over = A>>(&self, formula: Q) -> Option<[f64; N]> {
        self.view().map(|view| formula.read(view))
    }

    /// As taking all rows of `input` in, with what `formula` says after each of them in `out`; `NaN` until full.
    #[inline(always)]
    pub fn batch<const N: usize, const M: usize, C, Q>(&mut self, input: C, out: [&mut [f64]; M], formula: Q)
    where
        C: Columns<Row: Sample<Item = A::Item>>,
        Q: Formula<N, Over = A>,
    {
        if self.period <= WIDEST {
            self.go::<SIDE_BY_SIDE, N, M, C, Q>(input, out, formula);
        } else {
            self.go::<1, N, M, C, Q>(input, out, formula);
        }
    }

    fn go<const L: usize, const N: usize, const M: usize, C, Q>(&mut self, input: C, out: [&mut [f64]; M], formula: Q)
    where
        C: Columns<Row: Sample<Item = A::Item>>,
        Q: Formula<N, Over = A>,
    {
        let total = input.rows().unwrap_or(0);
        let mut out = out;
        let mut tile = Tile::<A, L, N>::new(self.period, total);
        // `clean`: how many rows before `done` came in one after the other.
        let (mut done, mut clean) = (0, 0);
        while done < total {
            if self.at == self.period && clean >= self.period {
                let begun = done;
                let long = L * self.period;
                while total - done >= long && every(&input.part(done, done + long), Sample::good) {
                    tile.take(input.part(done - self.period, done + long), formula);
                    tile.write(out.each_mut().map(|column| &mut column[done..done + long]));
                    done += long;
                }
                if done > begun {
                    self.become_block(input.part(done - self.period, done).iter().map(Sample::item));
                }
            }
            // One by one to the end of the block.
            let at = if self.at == self.period { 0 } else { self.at };
            let end = total.min(done + self.period - at);
            for i in done..end {
                let row = input.row(i);
                self.take(row);
                clean = if row.good() { clean + 1 } else { 0 };
                let values = self.read(formula).unwrap_or([f64::NAN; N]);
                for (column, value) in out.iter_mut().zip(values) {
                    column[i] = value;
                }
            }
            done = end;
        }
    }
}

/// Room for `L` blocks side by side.
struct Tile<A: Aggregate, const L: usize, const N: usize> {
    /// Of the blocks before: what is left of them after each place.
    rest: Vec<A::Sums<Lanes<L>>>,
    /// What the formula says at each place.
    rows: Vec<[Lanes<L>; N]>,
}

impl<A: Aggregate, const L: usize, const N: usize> Tile<A, L, N> {
    /// For blocks of `period`; without room when a history of `total` rows cannot fill a tile anyway.
    fn new(period: usize, total: usize) -> Self {
        let long = if total / (L + 1) < period { 0 } else { period };
        Tile { rest: vec![A::empty(); long], rows: vec![[Lanes::all(0.0); N]; long] }
    }

    /// Works through the rows of `L` blocks, all usable, with those of the block before them in front.
    // A function of its own, whose loops go over arrays that are written from one end to the other: only then a compiler
    // keeps the sums in registers and takes several lanes with one instruction.
    #[inline(never)]
    fn take<C, Q>(&mut self, input: C, formula: Q)
    where
        C: Columns<Row: Sample<Item = A::Item>>,
        Q: Formula<N, Over = A>,
    {
        let period = self.rest.len();
        let rest = &mut self.rest[..period];
        let rows = &mut self.rows[..period];
        let mut older: [C; L] = std::array::from_fn(|k| input.part(k * period, (k + 1) * period));
        let mut newer: [C; L] = std::array::from_fn(|k| input.part((k + 1) * period, (k + 2) * period));
        // Cut to one length that is seen to be one: then no access has to be checked.
        for block in &mut older {
            *block = block.part(0, period);
        }
        for block in &mut newer {
            *block = block.part(0, period);
        }
        let items = |blocks: &[C; L], i: usize| A::Item::gather(|k| blocks[k].row(i).item());
        let origin = items(&newer, 0);
        let mut sums = A::empty();
        for i in (1..period).rev() {
            sums = A::older(sums, items(&older, i), origin, period.wrapping_sub(i));
            rest[i.wrapping_sub(1)] = sums;
        }
        let mut sums = A::empty();
        for i in 0..period {
            let n = i.wrapping_add(1);
            let newest = items(&newer, i);
            sums = A::newer(sums, newest, origin, n);
            let joined = A::join(rest[i], sums, Runs { older: period.wrapping_sub(n), newer: n });
            rows[i] = formula.read(View { sums: joined, origin, newest });
        }
    }

    /// Writes out what the formula said, as many of its parts as there are columns.
    fn write<const M: usize>(&self, out: [&mut [f64]; M]) {
        for (n, column) in out.into_iter().enumerate() {
            for (k, block) in column.chunks_exact_mut(self.rows.len()).enumerate() {
                for (place, row) in block.iter_mut().zip(&self.rows) {
                    *place = row[n].lane(k);
                }
            }
        }
    }
}

/// Implements an indicator that is a formula over a single window: a struct around a `Window` of what it is over.
macro_rules! windowed {
    ($name:ident, $input:ty => $output:ty, $formula:ident) => {
        impl $name {
            /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
            pub fn new(period: usize) -> Result<Self, crate::window::BadPeriod> {
                crate::window::Window::new(period).map($name)
            }

            /// Takes `x` in and answers the value; `None` until warm.
            #[inline(always)]
            pub fn update(&mut self, x: $input) -> Option<$output> {
                self.0.take(x);
                self.value()
            }

            /// The value as of the newest input; `None` until warm.
            #[inline(always)]
            pub fn value(&self) -> Option<$output> {
                self.0.value($formula::of(self.0.period()))
            }

            /// Usable inputs until the first value.
            pub fn warmup(&self) -> usize {
                self.0.period()
            }

            #[inline(always)]
            pub(crate) fn columns<const M: usize>(
                &mut self,
                input: impl crate::bar::Columns<Row = $input>,
                out: [&mut [f64]; M],
            ) {
                self.0.batch(input, out, $formula::of(self.0.period()));
            }
        }

        crate::indicator::indicator!($name, $input => $output, columns);
    };
}
pub(crate) use windowed;
