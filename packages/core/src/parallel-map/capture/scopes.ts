import type { Node as AcornNode } from 'acorn'
import { type Finding, type FreeName, FreeNames } from './free-names.js'
import { type Any, isKnown, isNode, membersIn, namesIn, nest, ownThisOf, pathOf, type Scope } from './tree.js'

const mutators = new Set([
  ...['push', 'pop', 'shift', 'unshift', 'splice', 'sort', 'reverse', 'fill', 'copyWithin'],
  ...['set', 'add', 'delete', 'clear'],
])

/** Reads which names of a function's tree come from outside of it. */
export class Scopes {
  readonly #privates: Set<string>[] = []
  readonly #names: FreeNames
  readonly #root: AcornNode
  #homes = 0

  /** `text` is that of the function and begins at `offset` in the tree. */
  constructor(fn: AcornNode, text: string, offset: number) {
    this.#root = fn
    this.#names = new FreeNames(fn, text, offset)
  }

  read(): Finding {
    this.#visit(this.#root as Any, undefined)
    return this.#names
  }

  #visit(node: Any, scope: Scope | undefined): void {
    switch (node.type) {
      case 'FunctionExpression':
      case 'FunctionDeclaration':
      case 'ArrowFunctionExpression':
        this.#function(node, scope)
        return
      case 'ClassExpression':
      case 'ClassDeclaration':
        this.#class(node, scope)
        return
      case 'Identifier':
        this.#names.use(node['name'] as string, scope, (use) => (use.members = undefined))
        return
      case 'ThisExpression':
        this.#names.useThis(scope, (use) => (use.members = undefined))
        return
      case 'MemberExpression':
        this.#member(node, scope)
        return
      case 'AssignmentExpression':
        this.#write(node['left'] as Any, scope, node)
        this.#visit(node['right'] as Any, scope)
        return
      case 'UpdateExpression':
        this.#write(node['argument'] as Any, scope, node)
        return
      case 'UnaryExpression':
        this.#unary(node, scope)
        return
      case 'CallExpression':
        this.#call(node, scope)
        return
      case 'MetaProperty':
        if ((node['meta'] as Any)['name'] === 'import') this.#names.refuse('import.meta')
        else if (!ownThisOf(scope)) this.#names.refuse('new.target')
        return
      case 'Super':
        if (this.#homes === 0) this.#names.refuse('super')
        return
      case 'PrivateIdentifier':
        if (!this.#privates.some((names) => names.has(node['name'] as string))) this.#names.refuse(`#${node['name']}`)
        return
      case 'BlockStatement':
      case 'StaticBlock':
      case 'SwitchStatement':
        this.#children(node, this.#block(node, scope))
        return
      case 'ForStatement':
      case 'ForInStatement':
      case 'ForOfStatement':
        this.#for(node, scope)
        return
      case 'CatchClause': {
        const inner = nest(scope)
        if (node['param']) this.#declare(node['param'] as Any, inner)
        this.#children(node, inner)
        return
      }
      case 'VariableDeclarator':
        this.#pattern(node['id'] as Any, scope)
        if (node['init']) this.#visit(node['init'] as Any, scope)
        return
      case 'Property':
        if (node['computed']) this.#visit(node['key'] as Any, scope)
        this.#homes += node['method'] || node['kind'] !== 'init' ? 1 : 0
        this.#visit(node['value'] as Any, scope)
        this.#homes -= node['method'] || node['kind'] !== 'init' ? 1 : 0
        return
      case 'LabeledStatement':
        this.#visit(node['body'] as Any, scope)
        return
      case 'BreakStatement':
      case 'ContinueStatement':
        return
      default:
        this.#children(node, scope)
        return
    }
  }

  #children(node: Any, scope: Scope | undefined): void {
    for (const key of Object.keys(node)) {
      const child = node[key]
      if (Array.isArray(child)) for (const each of child) isNode(each) && this.#visit(each, scope)
      else if (isNode(child)) this.#visit(child, scope)
    }
  }

  #function(node: Any, scope: Scope | undefined): void {
    const arrow = node.type === 'ArrowFunctionExpression'
    const inner = nest(scope, arrow ? undefined : node)
    if (node.type === 'FunctionExpression' && node['id']) inner.names.add((node['id'] as Any)['name'] as string)
    if (!arrow) inner.names.add('arguments')
    for (const param of node['params'] as Any[]) this.#declare(param, inner)
    const body = node['body'] as Any
    if (body.type === 'BlockStatement') this.#hoist(body, inner)
    for (const param of node['params'] as Any[]) this.#pattern(param, inner)
    if (body.type === 'BlockStatement') {
      for (const statement of body['body'] as Any[]) this.#lexical(statement, inner)
      this.#children(body, inner)
    } else this.#visit(body, inner)
  }

  #class(node: Any, scope: Scope | undefined): void {
    const inner = nest(scope)
    if (node['id']) inner.names.add((node['id'] as Any)['name'] as string)
    // What the class itself extends is known by its prototype: V8 need not keep the names that led there.
    if (node['superClass'] && node !== this.#root) this.#visit(node['superClass'] as Any, inner)
    const members = (node['body'] as Any)['body'] as Any[]
    const names = members.map(({ key }) => key as Any | undefined).filter((key) => key?.type === 'PrivateIdentifier')
    this.#homes++
    this.#privates.push(new Set(names.map((key) => key!['name'] as string)))
    for (const member of members) {
      if (member['computed']) this.#visit(member['key'] as Any, inner)
      // Fields and static blocks have a `this` of their own.
      const own = nest(inner, member)
      if (member.type === 'StaticBlock') {
        this.#hoist(member, own)
        this.#children(member, this.#block(member, own))
      } else if (member['value']) this.#visit(member['value'] as Any, own)
    }
    this.#privates.pop()
    this.#homes--
  }

  #block(node: Any, scope: Scope | undefined): Scope {
    const inner = nest(scope)
    const statements = (node['body'] ?? (node['cases'] as Any[]).flatMap((one) => one['consequent'])) as Any[]
    for (const statement of statements) this.#lexical(statement, inner)
    return inner
  }

  #for(node: Any, scope: Scope | undefined): void {
    const inner = nest(scope)
    const head = (node['init'] ?? node['left']) as Any | null
    if (head?.type === 'VariableDeclaration') this.#lexical(head, inner)
    else if (head && node.type !== 'ForStatement') this.#write(head, inner, node)
    this.#children(node, inner)
  }

  /** `let`, `const`, classes and functions of a block. */
  #lexical(statement: Any, scope: Scope): void {
    if (statement.type === 'VariableDeclaration' && statement['kind'] !== 'var')
      for (const each of statement['declarations'] as Any[]) this.#declare(each['id'] as Any, scope)
    else if ((statement.type === 'ClassDeclaration' || statement.type === 'FunctionDeclaration') && statement['id'])
      scope.names.add((statement['id'] as Any)['name'] as string)
  }

  /** `var` anywhere in a function, and functions declared in it. */
  #hoist(node: Any, scope: Scope): void {
    for (const key of Object.keys(node)) {
      const child = node[key]
      for (const each of Array.isArray(child) ? child : [child]) {
        if (!isNode(each) || /^(?:Function|Arrow|Class)/.test(each.type)) continue
        if (each.type === 'VariableDeclaration' && each['kind'] === 'var')
          for (const one of each['declarations'] as Any[]) this.#declare(one['id'] as Any, scope)
        this.#hoist(each, scope)
      }
    }
  }

  #declare(pattern: Any, scope: Scope): void {
    for (const name of namesIn(pattern)) scope.names.add(name)
  }

  /** A pattern's defaults and computed keys; its names are declared elsewhere. */
  #pattern(pattern: Any | null, scope: Scope | undefined): void {
    if (!pattern) return
    if (pattern.type === 'AssignmentPattern') {
      this.#pattern(pattern['left'] as Any, scope)
      this.#visit(pattern['right'] as Any, scope)
    } else if (pattern.type === 'ArrayPattern')
      for (const each of pattern['elements'] as Any[]) this.#pattern(each, scope)
    else if (pattern.type === 'RestElement') this.#pattern(pattern['argument'] as Any, scope)
    else if (pattern.type === 'ObjectPattern') {
      for (const each of pattern['properties'] as Any[]) {
        if (each['computed']) this.#visit(each['key'] as Any, scope)
        this.#pattern((each.type === 'RestElement' ? each['argument'] : each['value']) as Any, scope)
      }
    }
  }

  /** What stands left of an assignment. */
  #write(target: Any, scope: Scope | undefined, whole: Any): void {
    for (const name of namesIn(target)) {
      this.#names.use(name, scope, (use) => {
        use.members = undefined
        use.assigned ??= this.#names.textOf(whole)
      })
    }
    for (const member of membersIn(target)) this.#written(member, scope, whole)
    if (target.type !== 'Identifier' && target.type !== 'MemberExpression') this.#pattern(target, scope)
  }

  #written(member: Any, scope: Scope | undefined, whole: Any): void {
    this.#visit(member, scope)
    let base = member
    while (base.type === 'MemberExpression') base = base['object'] as Any
    const mark = (use: FreeName): void => {
      const called = whole.type === 'CallExpression'
      use.writes.push({ text: this.#names.textOf(whole), path: pathOf(member['object'] as Any), called })
    }
    if (base.type === 'Identifier') this.#names.use(base['name'] as string, scope, mark)
    if (base.type === 'ThisExpression') this.#names.useThis(scope, mark)
  }

  #member(node: Any, scope: Scope | undefined): void {
    const object = node['object'] as Any
    const property = node['property'] as Any
    if (node['computed']) this.#visit(property, scope)
    else if (property.type === 'PrivateIdentifier') this.#visit(property, scope)
    const name = node['computed'] ? undefined : (property['name'] as string)
    const mark = (use: FreeName): void => {
      if (name === undefined || property.type === 'PrivateIdentifier') use.members = undefined
      else use.members?.add(name)
    }
    if (object.type === 'Identifier') this.#names.use(object['name'] as string, scope, mark)
    else if (object.type === 'ThisExpression') this.#names.useThis(scope, mark)
    else this.#visit(object, scope)
  }

  #call(node: Any, scope: Scope | undefined): void {
    const callee = node['callee'] as Any
    if (callee.type === 'Identifier' && callee['name'] === 'eval' && !isKnown('eval', scope)) this.#names.refuse('eval')
    const property = callee.type === 'MemberExpression' ? (callee['property'] as Any)['name'] : undefined
    if (callee.type === 'MemberExpression' && !callee['computed'] && mutators.has(property as string)) {
      this.#written(callee, scope, node)
      for (const each of node['arguments'] as Any[]) this.#visit(each, scope)
    } else this.#children(node, scope)
  }

  #unary(node: Any, scope: Scope | undefined): void {
    const argument = node['argument'] as Any
    if (node['operator'] === 'delete' && argument.type === 'MemberExpression') {
      this.#written(argument, scope, node)
      return
    }
    if (node['operator'] !== 'typeof' || argument.type !== 'Identifier') {
      this.#visit(argument, scope)
      return
    }
    this.#names.useType(argument['name'] as string, scope)
  }
}
