// What a role's process tells the one that started it, over their channel: plain types, read by both sides.

export type RoleMessage =
  /** The api listens. */
  | { readonly ready: { readonly address: string } }
  /** It could not start, and why, in a line. */
  | { readonly failed: { readonly message: string } };

export function isRoleMessage(value: unknown): value is RoleMessage {
  if (typeof value !== 'object' || value === null) return false;
  const { ready, failed } = value as { ready?: { address?: unknown }; failed?: { message?: unknown } };
  return typeof ready?.address === 'string' || typeof failed?.message === 'string';
}
