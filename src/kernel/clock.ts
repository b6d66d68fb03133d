/** The source of time. Tests pass a clock they can move. */
export type Clock = () => Date;

/** The machine's wall clock. Leases and expiry are decided by the database's clock instead. */
export const systemClock: Clock = () => new Date();
