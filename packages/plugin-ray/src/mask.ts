const secret = /KEY|TOKEN|SECRET|PASSW|CREDENTIAL/i

/** An environment as it may be shown: values of names that sound like secrets are masked (DESIGN D12). */
export function masked(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, secret.test(name) ? '***' : value]))
}
