// Put here by `manage.py scan_functions --patch`; it is yours now and is never written again.

/**
 * Mendgate's address where the secret MENDGATE_URL says one, else the given one: nothing changes until the secret is set, and all is
 * back as it was when it is taken away.
 */
export function gatewayUrl<T extends string | null | undefined>(url: T): T {
  return (Deno.env.get("MENDGATE_URL") || url) as T;
}
