/** Runs pieces of work one after the other, in the order in which they came. */
export function inTurn(): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(work);
    // Whoever asked for it hears of its error; the next one runs all the same.
    last = turn.catch(() => {});
    return turn;
  };
}
