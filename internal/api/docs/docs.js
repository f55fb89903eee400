// The documentation of the API, made from its own OpenAPI document. It loads
// nothing from anywhere else.

const el = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'onclick') node.addEventListener('click', value)
    else node.setAttribute(name, value)
  }
  node.append(...children.filter((c) => c !== null && c !== undefined))
  return node
}

const resolve = (api, schema) => (schema?.$ref ? api.components.schemas[schema.$ref.split('/').pop()] : schema)

// example makes a value that fits the schema.
function example(api, schema, depth = 0) {
  const s = resolve(api, schema)
  if (!s || depth > 6) return null
  if (s.examples?.length) return s.examples[0]
  if (s.default !== undefined) return s.default
  if (s.enum) return s.enum[0]
  if (s.oneOf) return example(api, s.oneOf[0], depth + 1)
  const type = Array.isArray(s.type) ? s.type[0] : s.type
  if (type === 'object') return objectExample(api, s, depth)
  if (type === 'array') return [example(api, s.items, depth + 1)]
  if (type === 'string') return s.format === 'date-time' ? '2026-01-31T12:00:00Z' : 'text'
  if (type === 'boolean') return true
  return type ? 1 : null
}

function objectExample(api, s, depth) {
  const value = {}
  for (const [name, property] of Object.entries(s.properties ?? {})) {
    if (name !== '$schema') value[name] = example(api, property, depth + 1)
  }
  if (typeof s.additionalProperties === 'object') value.name = example(api, s.additionalProperties, depth + 1)
  return value
}

function typeName(api, schema) {
  const s = resolve(api, schema)
  if (!s) return ''
  if (s.enum) return s.enum.join(' | ')
  if (s.oneOf) return s.oneOf.map((one) => typeName(api, one)).join(' or ')
  const type = Array.isArray(s.type) ? s.type.join(' | ') : (s.type ?? 'any')
  return type === 'array' ? `list of ${typeName(api, s.items)}` : type
}

function parameters(api, operation) {
  if (!operation.parameters?.length) return null
  const rows = operation.parameters.map((p) =>
    el('tr', {},
      el('td', {}, el('code', {}, p.name), p.required ? ' *' : ''),
      el('td', {}, typeName(api, p.schema)),
      el('td', {}, p.description ?? p.schema?.description ?? ''),
      el('td', { class: 'fill' }, el('input', { name: p.name, 'data-in': p.in, 'aria-label': p.name, placeholder: String(p.schema?.default ?? '') })),
    ))
  const head = el('tr', {}, ...['Parameter', 'Type', 'Meaning', 'Value'].map((t) => el('th', {}, t)))
  return el('div', { class: 'table' }, el('table', {}, el('thead', {}, head), el('tbody', {}, ...rows)))
}

function fields(api, schema) {
  const s = resolve(api, schema)
  const properties = Object.entries(s?.properties ?? {})
  if (!properties.some(([, p]) => resolve(api, p)?.description || p.description)) return null
  const rows = properties.map(([name, p]) =>
    el('tr', {},
      el('td', {}, el('code', {}, name), s.required?.includes(name) ? '' : ' (optional)'),
      el('td', {}, typeName(api, p)),
      el('td', {}, p.description ?? ''),
    ))
  return el('div', { class: 'table' }, el('table', {}, el('tbody', {}, ...rows)))
}

function answers(api, operation) {
  const parts = []
  for (const [status, response] of Object.entries(operation.responses)) {
    const content = Object.values(response.content ?? {})[0]
    const title = status === 'default' ? 'Otherwise: a problem document' : `${status} ${response.description ?? ''}`
    parts.push(el('h3', {}, title))
    if (!content) continue
    const table = status === 'default' ? null : fields(api, content.schema)
    if (table) parts.push(table)
    if (status !== 'default') parts.push(el('pre', {}, JSON.stringify(example(api, content.schema), null, 2)))
  }
  return parts
}

// send makes the request that the form describes, with the session of this
// browser.
async function send(method, path, form, output) {
  const query = new URLSearchParams()
  let target = path
  for (const input of form.querySelectorAll('input[data-in]')) {
    if (input.dataset.in === 'path') target = target.replace(`{${input.name}}`, encodeURIComponent(input.value))
    else if (input.value) query.append(input.name, input.value)
  }
  const body = form.querySelector('textarea')?.value
  output.hidden = false
  try {
    const response = await fetch(target + (query.size ? `?${query}` : ''), {
      method, body, headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
    })
    const text = await response.text()
    let shown = text
    try { shown = JSON.stringify(JSON.parse(text), null, 2) } catch { /* not JSON: shown as it is */ }
    output.textContent = `${response.status} ${response.statusText}\n\n${shown}`
  } catch (error) {
    output.textContent = String(error)
  }
}

function route(api, path, method, operation) {
  const content = operation.requestBody?.content?.['application/json']
  const output = el('pre', { hidden: '', 'aria-live': 'polite' })
  const form = el('div', { class: 'body' },
    operation.description ? el('p', {}, operation.description) : null,
    parameters(api, operation),
  )
  if (content) {
    const sample = content.example ?? example(api, content.schema)
    form.append(el('h3', {}, 'Body'), fields(api, content.schema) ?? '')
    const area = el('textarea', { 'aria-label': 'Body' })
    area.value = JSON.stringify(sample, null, 2)
    form.append(area)
  }
  form.append(el('button', { type: 'button', onclick: () => send(method.toUpperCase(), path, form, output) }, 'Send'), output, ...answers(api, operation))
  const text = `${method} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase()
  return el('details', { id: operation.operationId, 'data-text': text },
    el('summary', {},
      el('span', { class: `method ${method}` }, method.toUpperCase()),
      el('span', { class: 'path' }, path),
      el('span', { class: 'what' }, operation.summary ?? '')),
    form)
}

function show(api) {
  const nouns = new Map()
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const noun = operation.tags?.[0] ?? 'other'
      if (!nouns.has(noun)) nouns.set(noun, [])
      nouns.get(noun).push(route(api, path, method, operation))
    }
  }
  const main = document.getElementById('routes')
  const nav = document.getElementById('nouns')
  for (const [noun, routes] of nouns) {
    nav.append(el('a', { href: `#noun-${noun}` }, noun))
    main.append(el('section', { id: `noun-${noun}` }, el('h2', {}, noun), ...routes))
  }
  const about = document.getElementById('about')
  about.textContent = `${api.info.description} `
  about.append(el('a', { href: '/api/openapi.json' }, 'OpenAPI document'))
  if (location.hash) document.querySelector(`details${location.hash}`)?.setAttribute('open', '')
}

document.getElementById('search').addEventListener('input', (event) => {
  const wanted = event.target.value.trim().toLowerCase()
  for (const node of document.querySelectorAll('details')) node.hidden = !node.dataset.text.includes(wanted)
  for (const node of document.querySelectorAll('section')) node.hidden = !node.querySelector('details:not([hidden])')
})

try {
  const response = await fetch('/api/openapi.json')
  if (!response.ok) throw new Error(`the server answered ${response.status}`)
  show(await response.json())
} catch (error) {
  document.getElementById('about').textContent = `The document cannot be loaded: ${error.message}`
}
