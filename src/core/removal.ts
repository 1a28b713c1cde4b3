/** Removing more than this share of a client's targets at once looks like a mistake in the configuration. */
const SHARE_WITHOUT_CONFIRMATION = 0.2;

/** Whether an operator has to confirm that `gone` of a client's `managed` targets are meant to go. */
export const needsConfirmation = (gone: number, managed: number): boolean =>
  gone > SHARE_WITHOUT_CONFIRMATION * managed;
